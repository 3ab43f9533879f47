package main

import (
	"context"
	"fmt"

	"github.com/understudy-ha/understudy/drill"
)

// stream measures one large stream of incompressible data against bare zfs send
// and receive, in turns.
func (b *bench) stream(ctx context.Context) error {
	const big, bare = drill.Pool + "/big", drill.Pool + "/bare"
	if err := b.pair.Configure(ctx, only(big)); err != nil {
		return err
	}
	const fill = `zfs create "$1"; head -c "$2" /dev/urandom > "/$1/file"; zpool sync; zfs snapshot "$1@replicate-20260101T000000Z"`
	if _, err := b.shell(ctx, b.pair.A, fill, big, fmt.Sprint(b.sizes.stream<<20)); err != nil {
		return err
	}
	login, _, err := b.timed(ctx, b.pair.A, "ssh b true", "ssh", "b", "true")
	if err != nil {
		return err
	}
	var whole, alone, ours, theirs []float64
	for range b.sizes.pairs {
		const pipe = `set -o pipefail; zfs send -Lce "$1@replicate-20260101T000000Z" | ssh b zfs receive -s -u "$2"`
		other, _, err := b.timed(ctx, b.pair.A, "bare zfs send | ssh zfs receive", "bash", "-c", pipe, "bench", big, bare)
		if err != nil {
			return err
		}
		mine, result, err := b.replicate(ctx, "zfs-replicate", "--snapshot", "never")
		if err != nil {
			return err
		}
		item := result.Standbys[0].Items[0]
		if item.Bytes < int64(b.sizes.stream)<<20 {
			return fmt.Errorf("the stream had %d bytes, less than was written", item.Bytes)
		}
		b.say("of it, the stream: %.2f s", item.Seconds)
		whole = append(whole, other.seconds/mine.seconds)
		alone = append(alone, (other.seconds-login.seconds)/item.Seconds)
		ours, theirs = append(ours, mine.seconds), append(theirs, other.seconds)
		if _, err := b.shell(ctx, b.pair.B, `for d in "$@"; do zfs destroy -r "$d"; done; zpool sync`, big, bare); err != nil {
			return err
		}
	}
	bytes := int64(b.sizes.stream) << 20
	b.add(row{
		what: fmt.Sprintf("%d MiB of incompressible data in one dataset, first run", b.sizes.stream),
		ours: seconds(median(ours)) + ", " + speed(bytes, median(ours)), other: "`zfs send -Lce … \\| ssh b zfs receive -s -u …`: " + seconds(median(theirs)) + ", " + speed(bytes, median(theirs)),
		ratio: fmt.Sprintf("%.2f of its speed", median(whole)), goal: "at least 0.95", judged: true, met: median(whole) >= 0.95,
		how: fmt.Sprintf("wall time of the whole command; %d pairs in turns, median of their ratios; the stream by itself, without logins and planning: %.2f", b.sizes.pairs, median(alone)),
	})
	return nil
}
