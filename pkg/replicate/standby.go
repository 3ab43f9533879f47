package replicate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/time/rate"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/replicate/session"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// link is a session that opens in the background, with the standby's inventory.
type link struct {
	node    config.Node
	ready   chan struct{}
	session *session.Session
	target  []zfs.Dataset
	err     error
}

func (e *Engine) connect(ctx context.Context, node config.Node, scope plan.Scope, hello session.Hello) *link {
	l := &link{node: node, ready: make(chan struct{})}
	go func() {
		defer close(l.ready)
		if l.session, l.err = e.open(ctx, node, hello); l.err == nil {
			l.target, l.err = l.inventory(scope)
		}
	}()
	return l
}

// open opens a session with a standby.
func (e *Engine) open(ctx context.Context, node config.Node, hello session.Hello) (*session.Session, error) {
	dialer := e.Dialer
	if node.Local {
		dialer = session.Local{Receiver: &session.Receiver{Config: e.Config, Node: node.Name, Release: e.Release, State: e.State,
			ZFS: e.ZFS, Runner: e.Runner, Log: e.Log, Now: e.Now, Local: true}}
	}
	link, err := dialer.Dial(ctx, node)
	if err != nil {
		return nil, err
	}
	return session.Open(link, node.Name, e.Config.Replication.Timeouts.Stall, hello)
}

// inventory lists the targets, and the parents of targets that do not exist yet.
func (l *link) inventory(scope plan.Scope) ([]zfs.Dataset, error) {
	targets, err := l.session.Inventory(scope.Targets())
	if err != nil {
		return nil, err
	}
	parents := scope.Parents(targets)
	if len(parents) == 0 {
		return targets, nil
	}
	above, err := l.session.Inventory(parents)
	return append(targets, above...), err
}

func (l *link) close() {
	<-l.ready
	if l.session != nil {
		l.session.Close()
	}
}

// replicate brings one standby up to date.
func (e *Engine) replicate(ctx context.Context, l *link, scope plan.Scope, source []zfs.Dataset, o Options, result *StandbyResult) {
	started := e.Now()
	defer func() { result.Seconds = e.Now().Sub(started).Seconds() }()
	fail := func(err error) {
		result.err, result.Error = err, err.Error()
		result.Hint = exit.Hint(err)
	}
	<-l.ready
	if l.err != nil {
		fail(l.err)
		return
	}
	todo := plan.Make(plan.Input{Scope: scope, Source: source, Target: l.target, Tokens: e.tokens(ctx, l.target), Local: l.node.Local})
	sizes := e.estimate(ctx, todo, source, o.DryRun || o.Progress.WantsEstimates())
	var total int64
	for _, size := range sizes {
		total += size
	}
	o.Progress.Planned(l.node.Name, todo, total)
	if o.DryRun {
		for _, item := range todo.Items {
			result.Items = append(result.Items, &ItemResult{Item: item})
		}
		result.Pruned, _ = l.session.Prune(vouched(result.Items), true)
		return
	}
	t := &transfer{Engine: e, session: l.session, local: l.node.Local, progress: o.Progress, sources: map[string]*zfs.Dataset{}, sizes: sizes}
	for i := range source {
		t.sources[source[i].Name] = &source[i]
	}
	if limit := int(e.Config.Replication.Bandwidth); limit > 0 {
		t.limit = rate.NewLimiter(rate.Limit(limit), min(max(limit/10, 16<<10), session.BufferSize))
	}
	result.Items = t.run(ctx, todo, e.Config.Replication.Parallel)
	for _, item := range result.Items {
		result.Bytes += item.Bytes
	}
	if ctx.Err() != nil {
		return
	}
	if err := l.session.Ended(); err != nil {
		fail(err)
		return
	}
	var err error
	if result.Pruned, err = l.session.Prune(vouched(result.Items), false); err != nil {
		fail(fmt.Errorf("prune on the standby: %w", err))
		return
	}
	if result.Processes, err = l.session.Bye(o.Dataset == "" && complete(result.Items), conflicts(result.Items)); err != nil {
		fail(err)
	}
}

// conflicts returns the conflicts that the standby is told about.
func conflicts(items []*ItemResult) map[string]string {
	told := map[string]string{}
	for _, item := range items {
		if item.Action == plan.Conflict {
			told[item.Target] = session.ShortenConflict(item.Reason)
		}
	}
	return told
}

// vouched returns the targets that may be pruned: those that are current, with the guid
// of their newest common snapshot.
func vouched(items []*ItemResult) map[string]zfs.GUID {
	protect := map[string]zfs.GUID{}
	for _, item := range items {
		if item.ok() && item.CommonGUID != 0 {
			protect[item.Target] = item.CommonGUID
		}
	}
	return protect
}

// complete reports whether all datasets are current.
func complete(items []*ItemResult) bool {
	return !slices.ContainsFunc(items, func(i *ItemResult) bool { return !i.ok() })
}

// tokens decodes the resume tokens of partial receives.
func (e *Engine) tokens(ctx context.Context, target []zfs.Dataset) map[string]zfs.Token {
	tokens := map[string]zfs.Token{}
	for _, t := range target {
		if t.ResumeToken == "" {
			continue
		}
		token, err := e.ZFS.DecodeToken(ctx, t.ResumeToken)
		if err != nil {
			e.Log.Info().Err(err).Str("dataset", t.Name).Msg("a partial receive can't be resumed")
			continue
		}
		tokens[t.ResumeToken] = token
	}
	return tokens
}

// estimate fills in how many bytes the streams will have. Exact figures cost a process
// for each stream; else the sizes of the listings serve. Streams from bookmarks and
// tokens have no estimate: ZFS would walk the whole dataset.
func (e *Engine) estimate(ctx context.Context, todo plan.Plan, source []zfs.Dataset, exact bool) map[string]int64 {
	bySource := map[string]*zfs.Dataset{}
	for i := range source {
		bySource[source[i].Name] = &source[i]
	}
	sizes := map[string]int64{}
	for _, item := range todo.Items {
		for i := range item.Streams {
			s := &item.Streams[i]
			switch {
			case s.Token != "" || strings.Contains(s.From, "#"):
			case exact && s.ToGUID != 0:
				size, err := e.ZFS.Estimate(ctx, zfs.Send{To: s.To, From: s.From, All: s.All, Flags: item.Flags, Raw: item.Raw})
				if err != nil {
					e.Log.Debug().Err(err).Str("to", s.To).Msg("no estimate")
				}
				s.Bytes = size
			case s.ToGUID == 0: // a snapshot that is not taken yet
				s.Bytes = bySource[item.Source].Written
			case s.From == "":
				s.Bytes = bySource[item.Source].Referenced
			}
			sizes[item.Source] += s.Bytes
		}
	}
	return sizes
}
