#!/bin/bash
# Run by mmdebstrap on the unpacked system, from outside: adds the lab's own
# files and, in the full stage, turns what dpkg installed into something that
# boots fast under emulation, then takes the compilers out again.
#
#   customize.sh base|full ROOT
set -euo pipefail

stage=${1:?usage: customize.sh base|full ROOT}
root=${2:?usage: customize.sh base|full ROOT}
here=$(cd "$(dirname "$0")" && pwd)
inside() { chroot "$root" env PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"; }

cp -a --no-preserve=ownership "$here/files/." "$root/"

# Each node gets host keys of its own when it is made.
rm -f "$root"/etc/ssh/ssh_host_*

if [ "$stage" = full ]; then
	kernel=$(basename "$(echo "$root"/lib/modules/*)")
	built=$root/lib/modules/$kernel/updates/dkms
	compgen -G "$built/zfs.ko*" >/dev/null || inside dkms autoinstall -k "$kernel"
	compgen -G "$built/zfs.ko*" >/dev/null || { echo "dkms made no zfs module for $kernel" >&2; exit 1; }

	# Uninstalling the sources would take the modules along: keep them aside.
	cp -a "$built" "$root/zfs-modules"
	inside apt-get purge -y --autoremove zfs-dkms dkms linux-headers-cloud-amd64
	mkdir -p "$built"
	cp -a "$root/zfs-modules/." "$built/"
	rm -rf "$root/zfs-modules" "$root/usr/src"

	"$here/bootable.sh" "$root" "$kernel"
fi

rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/etc/machine-id
: >"$root/etc/machine-id"
