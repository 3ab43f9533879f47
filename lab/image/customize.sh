#!/bin/bash
# Run by mmdebstrap on the unpacked system, from outside: compiles what
# dpkg did not, then takes the compilers out again.
set -euo pipefail

root=${1:?usage: customize.sh ROOT}
here=$(cd "$(dirname "$0")" && pwd)
inside() { chroot "$root" env PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"; }

kernel=$(basename "$(echo "$root"/lib/modules/*)")
modules=$root/lib/modules/$kernel/updates/dkms
[ -e "$modules/zfs.ko.xz" ] || [ -e "$modules/zfs.ko" ] || inside dkms autoinstall -k "$kernel"

# Uninstalling the sources would take the modules along: keep them aside.
cp -a "$modules" "$root/zfs-modules"
inside apt-get purge -y --autoremove zfs-dkms dkms linux-headers-cloud-amd64
mkdir -p "$modules"
cp -a "$root/zfs-modules/." "$modules/"
rm -rf "$root/zfs-modules" "$root/usr/src"
inside depmod "$kernel"

cp -a "$here/files/." "$root/"
inside ssh-keygen -A
inside update-initramfs -u -k "$kernel"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/etc/machine-id
: >"$root/etc/machine-id"
