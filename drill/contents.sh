# Prints a checksum of the contents of each snapshot: paths, modes and bytes of
# the files, or the blocks of a volume. A standby never mounts its datasets, so
# the contents are read through a temporary clone.
clone=tank/drill-look place=/run/drill-look
cleanup() {
	zfs destroy "$clone" 2>/dev/null || true
	rmdir "$place" 2>/dev/null || true
}
trap cleanup EXIT

types=$(zfs list -H -o name,type -r tank)
for snapshot; do
	dataset=${snapshot%@*}
	if grep -qxF "$dataset	volume" <<<"$types"; then
		zfs clone "$snapshot" "$clone"
		path=$(device "$clone")
		sum=$(sha256sum <"$path")
	else
		# Cloning mounts it, destroying unmounts it.
		zfs clone -o readonly=on -o canmount=on -o "mountpoint=$place" "$snapshot" "$clone"
		mountpoint -q "$place" || { echo "$clone is not mounted" >&2; exit 1; }
		sum=$(cd "$place" && {
			find . -printf '%y %m %s %p %l\0' | sed -z 's/^\(d [0-9]*\) [0-9]*/\1/' | sort -z
			find . -type f -print0 | sort -z | xargs -0r sha256sum
		} | sha256sum)
	fi
	zfs destroy "$clone"
	printf '%s\t%s\n' "${sum%% *}" "$snapshot"
done
