#!/bin/bash
# The first process of a node of either kind; systemd would take minutes under
# emulation. It mounts the file systems of the kernel, sets up the network,
# imports the pools, starts sshd, then the scripts in /etc/lab/boot.d, and reaps
# orphans until it is told to stop (SIGTERM).
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
cd /
# KIND, NAME, ADDRESS, MANAGEMENT (the last two with prefix length).
. /etc/lab/node

if [ "$KIND" = vm ]; then
	mount -t proc proc /proc
	mount -t sysfs sys /sys
	mkdir -p /dev/pts /dev/shm
	mount -t devpts devpts /dev/pts
	mount -t tmpfs -o mode=1777 tmpfs /dev/shm
	mount -t tmpfs -o mode=755 tmpfs /run
	mount -t tmpfs -o mode=1777 tmpfs /tmp
	mount -t cgroup2 cgroup /sys/fs/cgroup
	ln -sf /proc/self/fd /dev/fd
fi
hostname "$NAME"
ip -batch - <<END
link set lo up
address add $ADDRESS dev eth0
link set eth0 up
address add $MANAGEMENT dev eth1
link set eth1 up
END
mkdir -p /run/sshd /run/lock

# services calls each script of /etc/lab/boot.d with start, in order, or with
# stop in reverse order. A script that fails or hangs does not hold up the
# others.
services() {
	local order=()
	[ "$1" = start ] || order=(-r)
	for script in $(find /etc/lab/boot.d -type f -perm -u+x ! -name '*.new' | sort "${order[@]}"); do
		timeout -k 5 240 "$script" "$1" </dev/null || echo "lab-init: $script $1: exit code $?"
	done
}

# stop ends everything in the order of a real shutdown, then the machine.
stop() {
	trap '' TERM
	echo "lab-init: stopping"
	if [ -d /etc/lab/boot.d ]; then
		[ -z "$starting" ] || kill -TERM "$starting" 2>/dev/null
		services stop
	fi
	# Docker first: it stops its containers itself, in order.
	if [ -s /run/docker.pid ]; then
		kill -TERM "$(cat /run/docker.pid)" 2>/dev/null
		for _ in $(seq 100); do [ -e "/proc/$(cat /run/docker.pid 2>/dev/null || echo none)" ] || break; sleep 0.1; done
	fi
	kill -TERM -1 2>/dev/null
	# All other processes must end, except the current children of process 1.
	for _ in $(seq 50); do
		others=0
		for p in /proc/[0-9]*; do
			# A file of /proc has no size, a zombie no first argument.
			first=
			[ "${p#/proc/}" -gt 1 ] && IFS= read -r -d '' first <"$p/cmdline"
			[ -z "$first" ] || others=1
		done 2>/dev/null
		[ "$others" = 0 ] && break
		sleep 0.1
	done
	kill -KILL -1 2>/dev/null
	if [ "$KIND" = vm ]; then
		[ ! -e /sys/module/zfs ] || zfs unmount -a
		sync
		mount -o remount,ro /
		echo "lab-init: stopped"
		echo o >/proc/sysrq-trigger
		sleep 60
	fi
	exit 0
}
trap stop TERM

# sshd does not wait for the pools: both start at the same time.
/usr/sbin/sshd -e &
if [ "$KIND" = vm ]; then
	if modprobe zfs; then
		if [ -s /etc/zfs/zpool.cache ]; then
			zpool import -c /etc/zfs/zpool.cache -a -N
			# Nodes with services mount when their services say so.
			[ -d /etc/lab/boot.d ] || zfs mount -a
		fi
	else
		echo "lab-init: the zfs module does not load"
	fi
fi
# listening reports whether a process listens on port 22 (0x16), in state
# LISTEN.
listening() { grep -q '^ *[0-9]*: 00000000:0016 00000000:0000 0A' /proc/net/tcp; }
for _ in $(seq 500); do
	listening && break
	sleep 0.02
done
if listening; then
	echo "lab-init: ready"
else
	echo "lab-init: sshd does not listen"
fi

# In the background: a node answers before its services do, as a server does.
starting=
if [ -d /etc/lab/boot.d ]; then
	{ services start; echo "lab-init: services started"; } &
	starting=$!
fi

# Bash reaps orphans by itself; for the traps it must be waiting.
while :; do
	sleep infinity &
	wait $!
done
