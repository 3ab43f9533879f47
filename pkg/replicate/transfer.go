package replicate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/replicate/session"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// bigStream is the size from which streams are sent one at a time if the configuration
// sets no number of parallel ones. One big stream fills the link by itself, while small
// ones wait for round trips.
const bigStream = 64 << 20

// automaticParallel is how many datasets are sent at the same time if the configuration
// sets no number.
const automaticParallel = 4

// transfer carries out a plan on one standby.
type transfer struct {
	*Engine
	session  *session.Session
	local    bool // the standby is another pool of this machine
	progress Progress
	limit    *rate.Limiter
	big      chan struct{} // held while a big stream is sent; nil: no limit
	sources  map[string]*zfs.Dataset
	sizes    map[string]int64 // bytes of an item, as far as known
}

// run carries out the plan's items, at most parallel at a time, each after those that
// it needs. An item that fails stops only those that need it.
func (t *transfer) run(ctx context.Context, todo plan.Plan, parallel int) []*ItemResult {
	if parallel == 0 {
		parallel = automaticParallel
		t.big = make(chan struct{}, 1)
	}
	results := make([]*ItemResult, len(todo.Items))
	done := map[string]chan struct{}{}
	bySource := map[string]*ItemResult{}
	for i, item := range todo.Items {
		results[i] = &ItemResult{Item: item}
		if item.Source != "" {
			done[item.Source] = make(chan struct{})
			bySource[item.Source] = results[i]
		}
	}
	slots := make(chan struct{}, parallel)
	var all sync.WaitGroup
	for _, result := range results {
		if result.Source == "" {
			continue
		}
		all.Go(func() {
			defer close(done[result.Source])
			for _, need := range result.Needs {
				<-done[need]
				if other := bySource[need]; !other.ok() {
					result.Action, result.Reason = plan.Skipped, "it needs "+need+", which failed"
					t.progress.Done(t.session.Node, result)
					return
				}
			}
			if result.Stuck() {
				t.progress.Done(t.session.Node, result)
				return
			}
			slots <- struct{}{}
			defer func() { <-slots }()
			started := t.Now()
			if err := t.item(ctx, result); err != nil {
				result.err, result.Error = err, err.Error()
				result.Hint = cmp.Or(result.Hint, exit.Hint(err))
			}
			result.Seconds = t.Now().Sub(started).Seconds()
			if result.Sends() || result.RenameFrom != "" || result.err != nil {
				t.progress.Done(t.session.Node, result)
			}
		})
	}
	all.Wait()
	return results
}

// item carries out one item.
func (t *transfer) item(ctx context.Context, r *ItemResult) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if r.RenameFrom != "" {
		if err := t.session.Rename(r.Type, r.RenameFrom, r.Target, r.RenameGUID); err != nil {
			return err
		}
	}
	if r.DropToken {
		if err := t.session.Abort(r.Target); err != nil {
			return err
		}
	}
	if r.Contain && r.Sends() {
		properties, err := t.handedDown(ctx, r.Source)
		if err != nil {
			return err
		}
		if err := t.session.Contain(zfs.Parent(r.Target), properties); err != nil {
			return err
		}
	}
	if t.big != nil && t.sizes[r.Source] >= bigStream {
		t.big <- struct{}{}
		defer func() { <-t.big }()
	}
	for i := range r.Streams {
		if err := t.stream(ctx, r, &r.Streams[i]); err != nil {
			return err
		}
	}
	if r.Sends() {
		r.Common, r.CommonGUID = r.Goal, r.GoalGUID
	}
	return t.bookmark(ctx, r.Item)
}

// handedDown returns the properties that a pool's root hands down, for the root on the
// standby, which itself is never mounted.
func (t *transfer) handedDown(ctx context.Context, root string) (map[string]string, error) {
	local, err := t.ZFS.LocalProperties(ctx, root)
	if err != nil {
		return nil, fmt.Errorf("read the properties of %s: %w", root, err)
	}
	maps.DeleteFunc(local, func(property, _ string) bool {
		// On this machine the mountpoint is in use.
		return !plan.HandedDown(property) || t.local && property == "mountpoint"
	})
	return local, nil
}

// stream sends one stream and waits until it is received.
func (t *transfer) stream(ctx context.Context, r *ItemResult, s *plan.Stream) error {
	if t.handsOver && s.From == "" && s.Token == "" {
		return fmt.Errorf("dataset %s is new since the last run, and a handover changes its properties: repeat the switchover", r.Source)
	}
	call := t.call(r, s)
	upload, err := t.session.Upload(call)
	if err != nil {
		return err
	}
	defer upload.Close()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := session.WatchIdle(t.Config.Replication.Timeouts.Stream, func(after time.Duration) {
		cancel(fmt.Errorf("send %s to %s: no byte has moved for %s: its deadline has passed", s.To, t.session.Node, after))
		upload.Interrupt()
	})
	defer idle.Stop()
	// During a handover the properties are those of a node that steps down. The standby
	// has the others since the run before.
	sending, err := t.ZFS.Send(ctx, zfs.Send{To: s.To, From: s.From, All: s.All, Flags: r.Flags, Raw: r.Raw, Token: s.Token, Bare: t.handsOver})
	if err != nil {
		return err
	}
	upload.Watch(sending.Kill)

	copied, copyErr := t.copy(ctx, upload, idle.Reader(sending), r, call.Compress)
	r.Bytes += copied
	if copyErr != nil {
		sending.Kill()
	}
	sendErr := sending.Finish()
	warning, replyErr := upload.Finish()
	r.Warning = cmp.Or(warning, r.Warning)
	r.Partial = copied > 0 && (replyErr != nil || sendErr != nil)

	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case copyErr != nil && replyErr != nil, sendErr == nil && replyErr != nil:
		return replyErr
	case sendErr != nil && replyErr != nil && errors.Is(replyErr, zfs.Incomplete), sendErr != nil && replyErr == nil:
		return fmt.Errorf("send %s: %w", s.To, sendErr)
	case replyErr != nil:
		return replyErr
	case copyErr != nil:
		return fmt.Errorf("send %s: %w", s.To, copyErr)
	}
	return nil
}

// call announces a stream to the standby.
func (t *transfer) call(r *ItemResult, s *plan.Stream) session.Receive {
	source := t.sources[r.Source]
	call := session.Receive{Dataset: r.Target, Type: r.Type, Origin: s.Origin, Flags: r.Flags,
		Snapshot: zfs.SnapshotOf(s.To), GUID: s.ToGUID, Compress: t.compression(r)}
	if taken, found := source.WithGUID(s.ToGUID); found {
		call.TXG = taken.CreateTXG
	}
	if plan.IsRoot(r.Target) && !t.local {
		// Its mountpoint is that of the pool's root, not one below it.
		call.Set = map[string]string{"mountpoint": source.Mountpoint}
	}
	return call
}

// copy moves the stream's bytes and counts them as zfs produces them. The limit is for
// the bytes on the wire.
func (t *transfer) copy(ctx context.Context, to io.Writer, from io.Reader, r *ItemResult, compress string) (int64, error) {
	counted := &countingReader{Reader: from, count: func(n int) { t.progress.Sent(t.session.Node, r.Source, int64(n)) }}
	if t.limit != nil {
		to = &limitedWriter{Writer: to, ctx: ctx, limit: t.limit}
	}
	if compress == "" {
		_, err := session.Copy(to, counted)
		return counted.n, err
	}
	encoder, err := session.Compressor(to)
	if err != nil {
		return 0, fmt.Errorf("compress the stream: %w", err)
	}
	_, err = session.Copy(encoder, counted)
	if closeErr := encoder.Close(); err == nil {
		err = closeErr
	}
	return counted.n, err
}

// compression is for datasets that are neither compressed on disk nor, by encryption,
// incompressible.
func (t *transfer) compression(r *ItemResult) string {
	if t.Config.Replication.Compress != "zstd" || r.Raw {
		return ""
	}
	if s := t.sources[r.Source]; s == nil || s.Compression != "off" {
		return ""
	}
	return "zstd"
}

// bookmark keeps the common snapshot usable as a base after the snapshot itself is
// destroyed.
func (t *transfer) bookmark(ctx context.Context, item *plan.Item) error {
	s := t.sources[item.Source]
	if s == nil || item.CommonGUID == 0 || item.Action == plan.Container {
		return nil
	}
	taken := false
	for _, snap := range s.Snapshots {
		if snap.Bookmark && snap.GUID == item.CommonGUID {
			return nil
		}
		taken = taken || snap.Bookmark && snap.Name == item.Common
	}
	name := item.Common
	if _, ours := plan.SnapshotTime(t.Config.Replication.Prefix, name); !ours || taken {
		name = fmt.Sprintf("%s-%016x", t.Config.Replication.Prefix, item.CommonGUID)
	}
	at := slices.IndexFunc(s.Snapshots, func(c zfs.Snap) bool { return c.GUID == item.CommonGUID && !c.Bookmark })
	if at < 0 {
		return nil
	}
	err := t.ZFS.Bookmark(ctx, s.Snapshots[at].Full(s.Name), s.Name+"#"+name)
	if err != nil && !errors.Is(err, zfs.Exists) { // another standby's transfer made it
		return fmt.Errorf("bookmark %s@%s: %w", s.Name, item.Common, err)
	}
	return nil
}

type countingReader struct {
	io.Reader
	n     int64
	count func(int)
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	c.count(n)
	return n, err
}

// limitedWriter limits the bytes per second.
type limitedWriter struct {
	io.Writer
	ctx   context.Context
	limit *rate.Limiter
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		part := p[written:min(len(p), written+l.limit.Burst())]
		if err := l.limit.WaitN(l.ctx, len(part)); err != nil {
			return written, err
		}
		n, err := l.Writer.Write(part)
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}
