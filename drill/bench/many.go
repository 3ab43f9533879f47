package main

import (
	"context"
	"fmt"

	"github.com/understudy-ha/understudy/drill"
	"github.com/understudy-ha/understudy/lab"
)

const manyPool = "many"

// makeMany makes datasets with many snapshots and copies the disk of the pool
// to the standby. Both nodes then have the same guids, as after that many runs.
const makeMany = `
zfs create -o canmount=off "many/data"
for i in $(seq -w 2 "$1"); do zfs create -o canmount=off "many/data/d$i"; done
for i in $(seq -w 1 "$2"); do zfs snapshot -r "many/data@snapshot-$i"; done
zpool export many
cd /var/lib/understudy-disk
tar -cS many.pool | ssh b tar -xS -C /var/lib/understudy-disk
zpool import -N -d /var/lib/understudy-disk/many.pool many
ssh b zpool import -N -d /var/lib/understudy-disk/many.pool many`

// receiverReport is the file in which GNU time records the costs of the
// receiver.
const receiverReport = "/run/receiver.time"

const timedReceiver = `printf '#!/bin/sh\nexec /usr/bin/time -q -o ` + receiverReport + ` -f "%%e %%U %%S %%M" zfs-replicate "$@"\n' > /run/timed-receiver; chmod +x /run/timed-receiver`

// many measures memory and time with many snapshots of which none is new.
func (b *bench) many(ctx context.Context) error {
	snapshots := b.sizes.manyDatasets * b.sizes.manySnapshots
	if err := lab.MakePool(ctx, b.pair.A, manyPool, 2<<30); err != nil {
		return err
	}
	if _, err := b.shell(ctx, b.pair.A, makeMany, fmt.Sprint(b.sizes.manyDatasets), fmt.Sprint(b.sizes.manySnapshots)); err != nil {
		return err
	}
	if _, err := b.shell(ctx, b.pair.B, timedReceiver); err != nil {
		return err
	}
	config := func(c drill.Config) {
		only(manyPool + "/data")(c)
		c.Set("ssh.remote_command", "/run/timed-receiver")
	}
	if err := b.pair.Configure(ctx, config); err != nil {
		return err
	}
	// The first run makes bookmarks. Later runs are as on any other day.
	if _, _, err := b.replicate(ctx, "many snapshots, first run"); err != nil {
		return err
	}
	var wall []float64
	var sender, receiver int64
	for range 3 {
		c, result, err := b.replicate(ctx, "many snapshots, unchanged")
		if err != nil {
			return err
		}
		if n := len(result.Standbys[0].Items); n != b.sizes.manyDatasets {
			return fmt.Errorf("%d datasets exist, the run reports %d", b.sizes.manyDatasets, n)
		}
		r, err := b.readCost(ctx, b.pair.B, receiverReport)
		if err != nil {
			return err
		}
		wall, sender, receiver = append(wall, c.seconds), max(sender, c.rss), max(receiver, r.rss)
	}
	b.add(row{
		what: fmt.Sprintf("%d datasets with %d snapshots in all, unchanged: memory", b.sizes.manyDatasets, snapshots),
		ours: fmt.Sprintf("sender %s, receiver %s", mib(sender), mib(receiver)),
		goal: "under 40 MiB", judged: true, met: max(sender, receiver) < 40<<20,
		how: "largest resident size (GNU time) of any process at that end; most of three runs",
	})
	b.add(row{
		what: fmt.Sprintf("%d datasets with %d snapshots in all, unchanged: time", b.sizes.manyDatasets, snapshots),
		ours: seconds(median(wall)), goal: "—", how: "wall time of the whole command; median of three runs",
	})
	return b.pair.Configure(ctx, only(drill.Pool+"/data"))
}
