#!/bin/bash
# Makes the lab's node image: one Debian 13 system that serves both kinds of
# node, as a folder (rootfs/, for namespace nodes) and as a disk with kernel
# and initrd beside it (for virtual machines).
#
#   build.sh OUT    OUT must not exist; it appears complete or not at all.
#
# Takes about ten minutes on two cores; most of it compiles OpenZFS.
set -euo pipefail

out=${1:?usage: build.sh OUT}
here=$(cd "$(dirname "$0")" && pwd)
work=$out.partial.$$
log=$work/build.log
suite=trixie
mirror=${LAB_MIRROR:-http://deb.debian.org/debian}

packages=(
	# A bootable system: systemd stays out, rootfs/sbin/lab-init starts it.
	linux-image-cloud-amd64 linux-headers-cloud-amd64 initramfs-tools kmod
	iproute2 iputils-ping procps util-linux ca-certificates netbase
	# What the nodes run.
	zfs-dkms zfsutils-linux keepalived docker.io docker-cli docker-compose iptables
	openssh-server openssh-client
	# What the benchmarks compare with, and what it needs.
	sanoid pv mbuffer lzop zstd time
)

say() { printf '%s  image: %s\n' "$(date +%T)" "$*" >&2; }

# On any end but a good one, the half-made image goes away.
cleanup() {
	local code=$?
	if [ "$code" -ne 0 ]; then
		say "failed; the last lines of its log:"
		tail -n 25 "$log" >&2 || true
	fi
	rm -rf --one-file-system "$work"
	exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

[ ! -e "$out" ] || { say "$out exists"; exit 1; }
mkdir -p "$work"
# Half-made images of builds that were killed outright.
for stale in "$out".partial.*; do
	[ "$stale" = "$work" ] || kill -0 "${stale##*.}" 2>/dev/null || rm -rf --one-file-system "$stale"
done

# heartbeat says every 30 s what the log's last line is, since a silent
# ten minutes look like a hang.
heartbeat() {
	while sleep 30; do
		say "… $(tail -n 1 "$log" | tr -d '\r' | cut -c1-60)"
	done
}

root=$work/rootfs
say "1/4 installing Debian $suite and compiling OpenZFS (about 8 minutes)"
heartbeat & beat=$!
include=$(IFS=,; echo "${packages[*]}")
mmdebstrap --mode=root --variant=apt --components=main,contrib \
	--aptopt='APT::Install-Recommends "false"' \
	--aptopt='Acquire::Retries "3"' \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--include="$include" \
	--customize-hook="$here/customize.sh \"\$1\"" \
	"$suite" "$root" "$mirror" >"$log" 2>&1
kill "$beat" 2>/dev/null || true
wait "$beat" 2>/dev/null || true

say "2/4 kernel and initrd"
cp -L "$root"/boot/vmlinuz-* "$work/vmlinuz"
cp -L "$root"/boot/initrd.img-* "$work/initrd.img"
rm -f "$root"/boot/initrd.img-* "$root"/boot/vmlinuz-*

say "3/4 disk"
truncate -s 12G "$work/disk.img"
mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1 -O ^metadata_csum -d "$root" "$work/disk.img" >>"$log" 2>&1

say "4/4 done: $(du -sh "$root" | cut -f1)"
mv "$log" "$work/rootfs/../build.log" 2>/dev/null || true
sync -f "$work"
mv -T "$work" "$out"
