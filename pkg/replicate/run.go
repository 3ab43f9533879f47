package replicate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

type hookConfig = config.Hook

// lockName is held by whatever changes datasets from this node.
const lockName = "zfs-replicate"

// Engine is the sending side.
type Engine struct {
	Config  *config.Config
	Self    config.Node
	Release string
	State   *state.Dir
	ZFS     *zfs.ZFS
	Runner  *run.Runner
	Log     zerolog.Logger
	Now     func() time.Time
}

// Options say what a run is to do.
type Options struct {
	Dataset  string // only this one and those below it
	To       string // only this standby
	Snapshot string // changed, always or never; "" is what the config says
	DryRun   bool   // plan only: nothing is changed on any node
	Progress Progress
}

// Run replicates once, to all standbys at the same time. The result is
// returned with the error too, as far as the run got.
func (e *Engine) Run(ctx context.Context, o Options) (*Result, error) {
	started := e.Now()
	scope, err := e.scope(o.Dataset)
	if err != nil {
		return nil, err
	}
	standbys, err := e.standbys(o.To)
	if err != nil {
		return nil, err
	}
	role, err := e.mayRun()
	if err != nil {
		return nil, err
	}
	if !o.DryRun {
		lock, err := e.State.Lock(lockName)
		if err != nil {
			return nil, err
		}
		defer lock.Unlock()
	}
	result := &Result{Node: e.Self.Name, Started: started.UTC(), DryRun: o.DryRun}
	defer func() {
		result.Seconds = e.Now().Sub(started).Seconds()
		result.Processes = e.Runner.Counts()
	}()

	// The connections are made while the snapshot is taken.
	hello := request{Release: e.Release, Node: e.Self.Name, Role: role.Role, Term: role.Term, DryRun: o.DryRun}
	linked, unlink := context.WithCancel(ctx)
	links := make([]*link, len(standbys))
	for i, node := range standbys {
		links[i] = e.connect(linked, node, scope, hello)
		result.Standbys = append(result.Standbys, &StandbyResult{Node: node.Name})
	}
	defer func() {
		for _, l := range links {
			l.close()
		}
		unlink()
	}()
	mode := o.Snapshot
	if mode == "" {
		mode = e.Config.Replication.Snapshot
	}
	snapshot, source, err := e.takeSnapshot(ctx, scope, mode, o.DryRun)
	result.Snapshot = snapshot
	if err != nil {
		unlink() // nobody waits for connections that are still being made
		return result, err
	}
	if result.missing = missing(scope, source); result.missing != nil {
		result.Missing = result.missing.Error()
	}
	roots := e.rootProperties(ctx, source)

	var all sync.WaitGroup
	for i, l := range links {
		all.Go(func() { e.replicate(ctx, l, scope, source, roots, o, result.Standbys[i]) })
	}
	all.Wait()

	var errs error
	if !o.DryRun {
		errs = e.finish(ctx, result, source, o)
	} else if plan, err := e.planPrune(ctx, source); err == nil {
		result.Pruned = plan
	}
	if ctx.Err() != nil {
		return result, context.Cause(ctx)
	}
	return result, errors.Join(result.Err(), errs)
}

func (e *Engine) mayRun() (state.RoleFile, error) {
	role, err := e.State.Role()
	if err != nil || !e.Config.Replication.RequireRole {
		return role, err
	}
	return role, mayRun(role, e.Self.Name)
}

// scope narrows the config's datasets to one tree.
func (e *Engine) scope(dataset string) (Scope, error) {
	all := Scope(e.Config.Replication.Datasets)
	if len(all) == 0 {
		return nil, &Usage{What: "no datasets to replicate", Advice: "list them under replication.datasets in the config"}
	}
	if dataset == "" {
		return all, nil
	}
	for _, d := range all {
		if covers(d, dataset, d.Name) {
			only := config.Dataset{Name: dataset, Recursive: d.Recursive, Target: d.TargetName() + strings.TrimPrefix(dataset, d.Name)}
			for _, excluded := range d.Exclude {
				if zfs.Within(excluded, dataset) {
					only.Exclude = append(only.Exclude, excluded)
				}
			}
			return Scope{only}, nil
		}
	}
	return nil, &Usage{What: "dataset " + dataset + " is not replicated", Advice: "see replication.datasets in the config"}
}

func (e *Engine) standbys(only string) ([]config.Node, error) {
	all := e.Config.Standbys(e.Self)
	if len(all) == 0 {
		return nil, &Usage{What: "no standby to replicate to", Advice: "list the other nodes under nodes: in the config"}
	}
	if only == "" {
		return all, nil
	}
	var known []string
	for _, node := range all {
		if node.Name == only {
			return []config.Node{node}, nil
		}
		known = append(known, node.Name)
	}
	return nil, &Usage{What: "no standby is called " + only, Advice: "the standbys of this node: " + strings.Join(known, ", ")}
}

// link is a session that is being opened, with the standby's inventory.
type link struct {
	node    config.Node
	ready   chan struct{}
	session *Session
	target  []zfs.Dataset
	err     error
}

func (e *Engine) connect(ctx context.Context, node config.Node, scope Scope, hello request) *link {
	l := &link{node: node, ready: make(chan struct{})}
	go func() {
		defer close(l.ready)
		stall := e.Config.Replication.Timeouts.Stall
		if node.Local {
			receiver := &Receiver{Config: e.Config, Node: node.Name, Release: e.Release, State: e.State, ZFS: e.ZFS, Runner: e.Runner, Log: e.Log, Now: e.Now, Local: true}
			l.session, l.err = DialLocal(ctx, receiver, stall, hello, node.Name)
		} else {
			ssh := e.Config.SSH
			l.session, l.err = DialSSH(ctx, e.Runner, run.SSH{User: ssh.User, Host: node.Address, Port: ssh.Port, IdentityFile: ssh.IdentityFile,
				KnownHostsFile: ssh.KnownHostsFile, ConnectTimeout: ssh.ConnectTimeout, Options: ssh.Options}, ssh.RemoteCommand, stall, hello, node.Name)
		}
		if l.err == nil {
			l.target, l.err = l.session.Inventory(scope.Targets())
		}
	}()
	return l
}

func (l *link) close() {
	<-l.ready
	if l.session != nil {
		l.session.Close()
	}
}

// rootProperties are what the pools' roots hand down to the datasets below.
func (e *Engine) rootProperties(ctx context.Context, source []zfs.Dataset) map[string]map[string]string {
	roots := map[string]map[string]string{}
	for _, d := range source {
		if zfs.Parent(d.Name) != "" || d.Container {
			continue
		}
		set := map[string]string{"canmount": "off"}
		local, err := e.ZFS.LocalProperties(ctx, d.Name)
		if err != nil {
			e.Log.Warn().Err(err).Str("dataset", d.Name).Msg("its properties can't be read: the standby's own are left as they are")
		}
		for property, value := range local {
			if handedDown[property] && property != "canmount" {
				set[property] = value
			}
		}
		roots[d.Name] = set
	}
	return roots
}

// replicate brings one standby up to date.
func (e *Engine) replicate(ctx context.Context, l *link, scope Scope, source []zfs.Dataset, roots map[string]map[string]string, o Options, result *StandbyResult) {
	started := e.Now()
	defer func() { result.Seconds = e.Now().Sub(started).Seconds() }()
	fail := func(err error) {
		result.err, result.Error = err, err.Error()
		var hinted interface{ Hint() string }
		if errors.As(err, &hinted) {
			result.Hint = hinted.Hint()
		}
	}
	<-l.ready
	if l.err != nil {
		fail(l.err)
		return
	}
	plan := MakePlan(PlanInput{Scope: scope, Source: source, Target: l.target, Tokens: e.tokens(ctx, l.target), RootProperties: roots})
	sizes := e.estimate(ctx, plan, source, o.DryRun || o.Progress.WantsEstimates())
	var total int64
	for _, size := range sizes {
		total += size
	}
	o.Progress.Planned(l.node.Name, plan, total)
	if o.DryRun {
		for _, item := range plan.Items {
			result.Items = append(result.Items, &ItemResult{Item: item})
		}
		result.Pruned, _ = l.session.Prune(vouched(result.Items), true)
		return
	}
	t := &transfer{Engine: e, session: l.session, progress: o.Progress, sources: map[string]*zfs.Dataset{}, sizes: sizes}
	for i := range source {
		t.sources[source[i].Name] = &source[i]
	}
	if limit := int(e.Config.Replication.Bandwidth); limit > 0 {
		t.limit = rate.NewLimiter(rate.Limit(limit), min(max(limit/10, 16<<10), bufferSize))
	}
	result.Items = t.run(ctx, plan, e.Config.Replication.Parallel)
	for _, item := range result.Items {
		result.Bytes += item.Bytes
	}
	if ctx.Err() != nil {
		return
	}
	if l.session.mux.IsClosed() {
		err := l.session.lost(errors.New("the other end closed it"))
		// A receiver that ends a session says why as it ends.
		if told, ok := errors.AsType[*RemoteError](l.session.Close()); ok {
			err = told
		}
		fail(err)
		return
	}
	var err error
	if result.Pruned, err = l.session.Prune(vouched(result.Items), false); err != nil {
		fail(fmt.Errorf("prune on the standby: %w", err))
		return
	}
	if result.Processes, err = l.session.Bye(); err != nil {
		fail(err)
	}
}

// vouched are the targets that may be pruned: those that are in order, with
// the guid of what both ends have.
func vouched(items []*ItemResult) map[string]string {
	protect := map[string]string{}
	for _, item := range items {
		if item.ok() && item.CommonGUID != 0 {
			protect[item.Target] = fmt.Sprint(item.CommonGUID)
		}
	}
	return protect
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
			e.Log.Info().Err(err).Str("dataset", t.Name).Msg("a partial receive is of no use any more")
			continue
		}
		tokens[t.ResumeToken] = token
	}
	return tokens
}

// estimate fills in how many bytes the streams will have. Exact figures cost a
// process a stream; without, sizes that the listings have must do. Streams
// from bookmarks and tokens are not asked for: there ZFS would walk the whole
// dataset.
func (e *Engine) estimate(ctx context.Context, plan Plan, source []zfs.Dataset, exact bool) map[string]int64 {
	bySource := map[string]*zfs.Dataset{}
	for i := range source {
		bySource[source[i].Name] = &source[i]
	}
	sizes := map[string]int64{}
	for _, item := range plan.Items {
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
			case s.ToGUID == 0: // a snapshot that is yet to be taken
				s.Bytes = bySource[item.Source].Written
			case s.From == "":
				s.Bytes = bySource[item.Source].Referenced
			}
			sizes[item.Source] += s.Bytes
		}
	}
	return sizes
}

// finish prunes here and writes the record, in this order: what the record
// protects is protected from this run's pruning too.
func (e *Engine) finish(ctx context.Context, result *Result, source []zfs.Dataset, o Options) error {
	var record Record
	if _, err := e.State.Read(recordName, &record); err != nil {
		return err
	}
	for _, s := range result.Standbys {
		e.note(&record, s, o.Dataset == "")
	}
	if err := e.State.Write(recordName, record); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return nil
	}
	p := pruner{zfs: e.ZFS, prefix: e.Config.Replication.Prefix, keep: e.Config.Replication.Keep}
	result.Pruned = p.prune(ctx, source, e.protect(&record))
	result.settle()
	return nil
}

func (e *Engine) planPrune(ctx context.Context, source []zfs.Dataset) ([]Pruned, error) {
	var record Record
	if _, err := e.State.Read(recordName, &record); err != nil {
		return nil, err
	}
	p := pruner{zfs: e.ZFS, prefix: e.Config.Replication.Prefix, keep: e.Config.Replication.Keep, dryRun: true}
	return p.prune(ctx, source, e.protect(&record)), nil
}

func (e *Engine) protect(record *Record) map[string]map[uint64]bool {
	var nodes []string
	for _, node := range e.Config.Standbys(e.Self) {
		nodes = append(nodes, node.Name)
	}
	return record.protected(nodes)
}

// note enters a standby's result into the record. Datasets that a whole run
// did not meet any more are forgotten.
func (e *Engine) note(record *Record, result *StandbyResult, whole bool) {
	now := e.Now().UTC()
	standby := record.standby(result.Node)
	if whole && len(result.Items) > 0 {
		maps.DeleteFunc(standby.Datasets, func(source string, _ *DatasetRecord) bool {
			return !slices.ContainsFunc(result.Items, func(i *ItemResult) bool { return i.Source == source })
		})
	}
	standby.LastRun, standby.Error = now, result.Error
	good := result.Error == ""
	for _, item := range result.Items {
		if item.Source == "" {
			continue
		}
		good = good && item.ok()
		d := standby.Datasets[item.Source]
		if d == nil {
			d = &DatasetRecord{}
			standby.Datasets[item.Source] = d
		}
		d.Target, d.Action, d.Error, d.Partial = item.Target, item.Action, item.Error, item.Partial
		if item.Stuck() {
			d.Error = item.Reason
		}
		if item.CommonGUID != 0 {
			if d.GUID != item.CommonGUID || item.ok() {
				d.At = now
			}
			d.Common, d.GUID = item.Common, item.CommonGUID
		}
	}
	if good {
		standby.LastSuccess = now
	}
}

// settle sorts what several goroutines have put together.
func (r *Result) settle() {
	slices.SortFunc(r.Pruned, func(a, b Pruned) int { return strings.Compare(a.Dataset, b.Dataset) })
}
