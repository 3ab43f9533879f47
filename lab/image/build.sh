#!/bin/bash
# Makes the lab's node image: one Debian 13 system in two stages.
#
#   build.sh base OUT    rootfs/ with all that a namespace node runs (a minute)
#   build.sh full OUT    the same and a kernel, OpenZFS and the tools to compare
#                        with, and vmlinux, initrd.img and disk.img for virtual
#                        machines (about ten minutes; most of it compiles OpenZFS)
#
# OUT must not exist; it appears complete or not at all. The caller holds a
# lock: whatever OUT.partial there is was left by a build that was killed.
# Runs as root in mount and pid namespaces of its own.
set -euo pipefail

stage=${1:?usage: build.sh base|full OUT}
out=${2:?usage: build.sh base|full OUT}
here=$(cd "$(dirname "$0")" && pwd)
work=$out.partial
log=$work/build.log
suite=trixie
mirror=${LAB_MIRROR:-http://deb.debian.org/debian}
# Named, since other distributions' apt does not trust Debian's keys by itself.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

packages=(
	iproute2 iputils-ping procps util-linux kmod ca-certificates netbase curl
	keepalived docker.io docker-cli docker-compose iptables nftables
	openssh-server openssh-client zstd xz-utils time
)
steps=1
if [ "$stage" = full ]; then
	steps=3
	packages+=(
		# busybox is the initrd's userland.
		linux-image-cloud-amd64 linux-headers-cloud-amd64 initramfs-tools busybox-static cpio
		zfs-dkms zfsutils-linux
		# What the benchmarks compare with, and what it needs.
		sanoid pv mbuffer lzop
	)
fi

say() { printf 'image %s: %3ds  %s\n' "$stage" "$SECONDS" "$*" >&2; }

[ -e "$keyring" ] || { echo "image $stage: $keyring is missing; run make setup" >&2; exit 1; }
[ ! -e "$out" ] || { say "$out exists"; exit 1; }

# On any end but a good one, the half-made image goes away.
cleanup() {
	local code=$?
	[ -z "${beat:-}" ] || kill "$beat" 2>/dev/null || true
	if [ "$code" -ne 0 ]; then
		say "failed; the last lines of its log:"
		tail -n 25 "$log" >&2 || true
		rm -rf --one-file-system "$work"
	fi
	exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# heartbeat shows the log's last line now and then: silent minutes look like
# a hang.
heartbeat() {
	while sleep 15; do
		say "… $(tail -c 400 "$log" | tr '\r' '\n' | grep . | tail -n 1 | cut -c1-70)"
	done
}

rm -rf --one-file-system "$work"
mkdir -p "$work"

root=$work/rootfs
say "1/$steps installing Debian $suite"
heartbeat & beat=$!
include=$(IFS=,; echo "${packages[*]}")
# MODULES=list: the initrd that the kernel's package makes is not used, so it
# may as well be small. The real one is made in customize.sh.
# shellcheck disable=SC2016 # $1 is for mmdebstrap's shell
mmdebstrap --mode=root --variant=apt --keyring="$keyring" --components=main,contrib \
	--aptopt='APT::Install-Recommends "false"' \
	--aptopt='Acquire::Retries "3"' \
	--dpkgopt='force-unsafe-io' \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" && echo MODULES=list >"$1/etc/initramfs-tools/conf.d/lab"' \
	--include="$include" \
	--customize-hook="$here/customize.sh $stage \"\$1\"" \
	"$suite" "$root" "$mirror" >"$log" 2>&1

if [ "$stage" = full ]; then
	say "2/$steps kernel and initrd"
	mv "$root/lab-boot/vmlinux" "$root/lab-boot/initrd.img" "$work/"
	rmdir "$root/lab-boot"

	say "3/$steps disk"
	"$here/disk.sh" "$root" "$work/disk.img" >>"$log" 2>&1
fi

say "done: $(du -sh "$root" | cut -f1)"
sync -f "$work"
mv -T "$work" "$out"
