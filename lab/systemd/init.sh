#!/bin/bash
# The initrd starts this on a node whose first process is systemd.
# lab-network.service calls it again to set up the network.
export PATH=/usr/sbin:/usr/bin
# ADDRESS and MANAGEMENT, both with prefix length.
. /etc/lab/node
[ "${1:-}" = network ] || exec /usr/lib/systemd/systemd
exec ip -batch - <<END
link set lo up
address add $ADDRESS dev eth0
link set eth0 up
address add $MANAGEMENT dev eth1
link set eth1 up
route add default via 10.77.0.1
END
