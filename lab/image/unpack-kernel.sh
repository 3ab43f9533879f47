#!/bin/bash
# Takes the ELF kernel out of a bzImage, as the kernel's own
# scripts/extract-vmlinux does: finds the packed payload by its magic number
# and tries each place where it stands.
#
#   unpack-kernel.sh VMLINUZ VMLINUX
set -euo pipefail

image=${1:?usage: unpack-kernel.sh VMLINUZ VMLINUX}
kernel=${2:?usage: unpack-kernel.sh VMLINUZ VMLINUX}

# attempt MAGIC COMMAND…: true once COMMAND makes an ELF file of what begins
# with MAGIC. The packer's own error is of no use: bytes follow the payload.
attempt() {
	local magic=$1 at
	shift
	while read -r at; do
		tail -c +"$((at + 1))" "$image" | "$@" >"$kernel" 2>/dev/null || true
		[ "$(head -c 4 "$kernel")" = $'\177ELF' ] && return 0
	done < <(LC_ALL=C grep -aobP "$magic" "$image" | LC_ALL=C cut -d: -f1)
	return 1
}

attempt '\x28\xb5\x2f\xfd' zstd -dc ||
	attempt '\xfd7zXZ\x00' xz -dc --single-stream ||
	attempt '\x1f\x8b\x08' gzip -dc ||
	{ echo "$image: no packed kernel found in it" >&2; rm -f "$kernel"; exit 1; }
