# Prints a checksum of what is in each of the snapshots given: paths, modes and
# content of the files, or the blocks of a volume. A standby's datasets are
# never mounted, so each is looked at through a clone that is gone afterwards.
clone=tank/drill-look place=/run/drill-look
cleanup() {
	zfs destroy "$clone" 2>/dev/null || true
	rmdir "$place" 2>/dev/null || true
}
trap cleanup EXIT

for snapshot; do
	dataset=${snapshot%@*}
	if [ "$(zfs get -H -o value type "$dataset")" = volume ]; then
		zfs clone "$snapshot" "$clone"
		path=$(device "$clone")
		sum=$(sha256sum <"$path")
	else
		zfs clone -o readonly=on -o canmount=noauto -o "mountpoint=$place" "$snapshot" "$clone"
		zfs mount "$clone"
		sum=$(cd "$place" && {
			find . -printf '%y %m %s %p %l\0' | sed -z 's/^\(d [0-9]*\) [0-9]*/\1/' | sort -z
			find . -type f -print0 | sort -z | xargs -0r sha256sum
		} | sha256sum)
		zfs unmount "$clone"
	fi
	zfs destroy "$clone"
	printf '%s\t%s\n' "${sum%% *}" "$snapshot"
done
