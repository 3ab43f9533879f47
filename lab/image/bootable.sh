#!/bin/bash
# Makes ROOT/lab-boot/{vmlinux,initrd.img} from the kernel in ROOT.
#
#   bootable.sh ROOT KERNEL-VERSION
#
# Under emulation, unpacking is what a boot waits for: so the kernel and its
# modules are unpacked here, once, and the initrd holds a busybox and the few
# modules that the root disk needs, not packed either.
set -euo pipefail

root=${1:?usage: bootable.sh ROOT KERNEL-VERSION}
kernel=${2:?usage: bootable.sh ROOT KERNEL-VERSION}
here=$(cd "$(dirname "$0")" && pwd)
inside() { chroot "$root" env PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"; }

find "$root/lib/modules/$kernel" -name '*.ko.xz' -exec xz -d {} +
inside depmod "$kernel"

boot=$root/lab-boot
tree=$root/lab-initrd
mkdir -p "$boot" "$tree"/{bin,dev,proc,modules,newroot}
"$here/unpack-kernel.sh" "$root/boot/vmlinuz-$kernel" "$boot/vmlinux"

cp "$root/usr/bin/busybox" "$tree/bin/busybox"
install -m 755 "$here/initrd-init" "$tree/init"
# Dependencies come before what needs them; the number keeps that order.
n=100
for name in virtio_pci virtio_blk ext4 virtio_net virtio_rng; do
	while read -r verb path _; do
		[ "$verb" = insmod ] || continue
		base=$(basename "$path")
		compgen -G "$tree/modules/*-$base" >/dev/null && continue
		cp "$root/$path" "$tree/modules/$n-$base"
		n=$((n + 1))
	done < <(inside modprobe -S "$kernel" --show-depends "$name")
done
inside sh -c 'cd /lab-initrd && find . | cpio -o -H newc --quiet' >"$boot/initrd.img"

rm -rf "$tree" "$root"/boot/initrd.img-* "$root"/boot/vmlinuz-*
