package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// oldScript is the script that zfs-replicate replaces, with the lab's names.
const oldScript = `
POOL=other
SNAP=replicate-$(date +%Y%m%d-%H%M)
zfs snapshot -r $POOL@$SNAP
PREV=$(zfs list -t snapshot -H -o name -s creation $POOL | grep replicate | tail -2 | head -1)
if [ -n "$PREV" ] && [ "$PREV" != "$POOL@$SNAP" ]; then
	zfs send -i $PREV $POOL@$SNAP | ssh b zfs recv -F $POOL
else
	zfs send -R $POOL@$SNAP | ssh b zfs recv -F $POOL
fi
zfs list -t snapshot -H -o name -s creation $POOL | grep replicate | head -n -10 | xargs -r -n1 zfs destroy`

// script measures the script that zfs-replicate replaces. There is no ratio:
// the script does something else.
func (b *bench) script(ctx context.Context) error {
	if err := b.makeOther(ctx); err != nil {
		return err
	}
	if _, err := b.shell(ctx, b.pair.A, `zfs list "$1" >/dev/null 2>&1 || (`+makeTree+`)`, otherPool+"/data", fmt.Sprint(b.sizes.datasets)); err != nil {
		return err
	}
	var last cost
	for _, what := range []string{"first", "unchanged", "changed"} {
		if what == "changed" {
			if _, err := b.shell(ctx, b.pair.A, changeTree, otherPool+"/data"); err != nil {
				return err
			}
		}
		c, _, err := b.timed(ctx, b.pair.A, "the old script, "+what, "bash", "-c", oldScript)
		if err != nil {
			return err
		}
		last = c
		if what == "unchanged" {
			b.add(row{what: fmt.Sprintf("%d datasets, unchanged", b.sizes.datasets), other: "the old script: " + seconds(c.seconds), goal: "—",
				how: "wall time, one run; it sends the pool's root alone"})
		}
		// Its snapshots are named by the minute.
		if what != "changed" {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(61 * time.Second):
			}
		}
	}
	const arrived = `newest=$(ssh b zfs list -H -t snapshot -o name -s creation other | tail -1); ssh b zfs list -H -r -t snapshot -o name other/data | grep -c "@${newest#*@}\$" || true`
	text, err := b.shell(ctx, b.pair.A, arrived)
	if err != nil {
		return err
	}
	b.add(row{what: fmt.Sprintf("%d datasets, a small file written in each", b.sizes.datasets), other: "the old script: " + seconds(last.seconds), goal: "—",
		how: fmt.Sprintf("wall time, one run; of the %d changed datasets **%s arrived**: an increment of the pool's root has no children", b.sizes.datasets, strings.TrimSpace(text))})
	return nil
}
