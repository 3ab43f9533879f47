package lag

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Checker measures.
type Checker struct {
	Config *config.Config
	Self   config.Node
	State  *state.Dir
	ZFS    *zfs.ZFS
	Peers  Peers
	Log    zerolog.Logger
	Now    func() time.Time
	// Told are the problems that this node has told people of, for the others.
	Told map[string]string

	at    time.Time              // when the other nodes have answered
	dated map[zfs.GUID]time.Time // see Report.dates
}

// view is what is known of one node.
type view struct {
	node  config.Node
	inv   *Inventory // nil: it was not asked, or did not answer
	err   error
	clock time.Duration // how far it is ahead of this node's
	held  []zfs.Dataset // see datasets
}

// datasets are what the node has.
func (v *view) datasets() []zfs.Dataset {
	if v.held == nil {
		v.held = v.inv.datasets()
	}
	return v.held
}

// self reports whether the view is this node's own.
func (c *Checker) self(v *view) bool { return v.node.Name == c.Self.Name }

// Check looks at this node and, unless it is to ask nobody, at all others at
// the same time. An error means that this node itself could not be looked at.
func (c *Checker) Check(ctx context.Context, askOthers bool) (*Report, error) {
	last, err := c.last()
	if err != nil {
		c.Log.Warn().Err(err).Msg("what was measured last is not known")
		last = nil
	}
	c.dated = last.dates()
	views, err := c.look(ctx, askOthers)
	if err != nil {
		return nil, err
	}
	c.at = c.Now().UTC()
	r := &Report{Node: c.Self.Name, At: c.at, Standbys: []Standby{}, Told: map[string]string{}}
	source, problems := c.source(views)
	r.Problems = problems
	if source == nil {
		r.Problems = append(r.Problems, Problem{Level: Unknown, Text: "it can't be told which node holds the data",
			Hint: "run zfs-replicate on the node on which it is written to, or failover-notify status to see what the nodes are"})
		r.sum()
		return r, nil
	}
	r.Source = source.node.Name
	if source.inv != nil {
		r.Problems = append(r.Problems, c.missing(source)...)
	}
	for _, v := range views {
		if v.inv != nil && !c.self(v) {
			for key, level := range v.inv.Told {
				r.Told[key] = level
			}
		}
		if v == source || v.node.Local && !c.self(source) || source.inv == nil && !c.self(v) {
			continue
		}
		s, err := c.standby(ctx, source, v, last)
		if err != nil {
			return nil, err
		}
		s.sum()
		slices.SortFunc(s.Datasets, func(a, b Dataset) int { return cmp.Compare(cmp.Or(a.Dataset, a.Target), cmp.Or(b.Dataset, b.Target)) })
		r.Standbys = append(r.Standbys, s)
	}
	r.sum()
	return r, nil
}

// look gets the views of all nodes, this node's first.
func (c *Checker) look(ctx context.Context, askOthers bool) ([]*view, error) {
	own := &view{node: c.Self}
	views := []*view{own}
	var asking sync.WaitGroup
	for _, n := range c.Config.Standbys(c.Self) {
		v := &view{node: n}
		views = append(views, v)
		switch {
		case n.Local:
		case !askOthers:
			v.err = errNotAsked
		default:
			asking.Go(func() { v.inv, v.clock, v.err = c.Peers.Ask(ctx, n) })
		}
	}
	var err error
	own.inv, err = c.Take(ctx, false)
	asking.Wait()
	if err != nil {
		return nil, err
	}
	for _, v := range views {
		if v.node.Local && v != own {
			v.inv = takeLocal(own.inv, v.node)
		}
		if v.err != nil {
			c.Log.Info().Err(v.err).Str("node", v.node.Name).Msg("not asked")
		}
	}
	return views, nil
}

// standby judges one node by what is known of it and of the source.
func (c *Checker) standby(ctx context.Context, source, v *view, last *Report) (Standby, error) {
	s := Standby{Node: v.node.Name, Datasets: []Dataset{}}
	s.ClockSeconds = v.clock.Seconds()
	if c.self(v) {
		s.ClockSeconds = source.clock.Seconds()
	}
	switch {
	case source.inv != nil && v.inv != nil:
		s.Asked, s.AsOf = true, c.at
		return s, c.compare(ctx, &s, source, v)
	case source.inv != nil:
		s.Error, s.Level = v.err.Error(), Warning
		return s, c.remembered(ctx, &s, source, v, last)
	}
	s.Error, s.Level = source.err.Error(), Warning
	c.received(&s, v, source.node.Name, last)
	return s, nil
}
