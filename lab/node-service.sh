#!/bin/bash
# Starts and ends a node's programs as systemd would: each in a control group of
# its own, with a log, and restarted after its death if requested.
#
#   lab-service start NAME always|never group|process PROGRAM [ARGUMENT…]
#   lab-service stop NAME [SECONDS]    SIGTERM, and SIGKILL after the seconds
#   lab-service pid NAME               the process id of the program
#   lab-service running NAME           whether it runs, by exit code
#
# /etc/lab/before/NAME, if it exists, runs before the program is stopped in order,
# and /etc/lab/after/NAME each time it has ended.
# always: restart it when it ends by itself. group: its children end with it, as
# with systemd's KillMode=control-group; process: the program alone is ended, as
# in Docker's unit.
set -uo pipefail

verb=${1:?usage: lab-service start|stop|pid|running NAME}
name=${2:?usage: lab-service $verb NAME}
run=/run/lab/$name
group=/sys/fs/cgroup/lab-$name
log=/var/log/lab/$name.log
before=/etc/lab/before/$name
after=/etc/lab/after/$name

pid() { [ -s "$run.pid" ] && cat "$run.pid"; }
# A file of /proc has no size, and a process that has ended no first argument.
running() {
	local p first=
	p=$(pid) && IFS= read -r -d '' first <"/proc/$p/cmdline"
	[ -n "$first" ]
} 2>/dev/null

# end kills what is left of the group.
end() { [ "$(cat "$run.mode" 2>/dev/null)" = process ] || echo 1 >"$group/cgroup.kill"; } 2>/dev/null

# watch is the program's parent.
watch() {
	local again=$1 p
	shift
	while :; do
		# shellcheck disable=SC2016 # for the inner shell
		bash -c 'echo $$ >"$1" && shift && exec "$@"' service "$group/cgroup.procs" "$@" &
		p=$!
		echo "$p" >"$run.pid"
		wait "$p"
		echo "lab-service: $name ended with exit code $?"
		end
		# Nobody reports the end of a service that KillService killed.
		[ -e "$run.killed" ] || [ ! -x "$after" ] || "$after"
		[ "$again" = always ] || break
		[ ! -e "$run.stop" ] || break
		sleep 1
		[ ! -e "$run.stop" ] || break
	done
}

case $verb in
start)
	again=${3:?} mode=${4:?}
	shift 4
	mkdir -p "$group" /run/lab /var/log/lab
	if running; then exit 0; fi
	rm -f "$run.stop" "$run.killed" "$run.pid"
	echo "$mode" >"$run.mode"
	# Independent of this caller's control group, session and streams: they may
	# end.
	(
		trap '' HUP
		watch "$again" "$@"
	) </dev/null >>"$log" 2>&1 &
	for _ in $(seq 100); do
		[ ! -s "$run.pid" ] || exit 0
		sleep 0.02
	done
	echo "lab-service: $name did not start; its log is $log" >&2
	exit 1
	;;
stop)
	mkdir -p /run/lab
	if running && [ -x "$before" ]; then "$before" >>"$log" 2>&1; fi
	touch "$run.stop"
	running || { end; exit 0; }
	p=$(pid)
	kill -TERM "$p" 2>/dev/null
	for ((i = 0; i < ${3:-20} * 20; i++)); do
		running || { end; exit 0; }
		sleep 0.05
	done
	kill -KILL "$p" 2>/dev/null
	end
	;;
pid) pid ;;
running) running ;;
*)
	echo "lab-service: $verb: want start, stop, pid or running" >&2
	exit 64
	;;
esac
