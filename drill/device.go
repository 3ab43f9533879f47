package drill

// DeviceScript defines the shell function device, which prints the device of a
// volume: without udev it has no name of its own.
const DeviceScript = `
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
`
