# Prints a checksum of what is in each of the snapshots given: paths, modes and
# content of the files, or the blocks of a volume. A standby's datasets are
# never mounted, so each is looked at through a clone that is gone afterwards.
clone=tank/drill-look place=/run/drill-look
cleanup() {
	zfs destroy "$clone" 2>/dev/null || true
	rmdir "$place" 2>/dev/null || true
}
trap cleanup EXIT

# device prints the volume's device: without udev it has no name of its own.
device() {
	local d
	for _ in {1..100}; do
		if [ -e "/dev/zvol/$1" ]; then
			echo "/dev/zvol/$1"
			return
		fi
		for d in /dev/zd*; do
			if [[ -b $d && $d != *p[0-9]* && $(/usr/lib/udev/zvol_id "$d" 2>/dev/null) == "$1" ]]; then
				echo "$d"
				return
			fi
		done
		sleep 0.1
	done
	echo "the volume $1 has no device" >&2
	return 1
}

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
