#!/bin/bash
# Makes the root disk of virtual-machine nodes from an unpacked system.
#
#   disk.sh ROOTFS DISK
#
# Sparse; sized for the pools that the nodes keep in files on it. Checksummed
# metadata costs an emulated processor more than it is worth here.
set -euo pipefail

root=${1:?usage: disk.sh ROOTFS DISK}
disk=${2:?usage: disk.sh ROOTFS DISK}

rm -f "$disk"
truncate -s 24G "$disk"
mkfs.ext4 -q -F -m 0 -i 65536 -E lazy_itable_init=1,lazy_journal_init=1 -O ^metadata_csum -d "$root" "$disk"
