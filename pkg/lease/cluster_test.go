package lease_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/lease"
	"github.com/understudy-ha/understudy/pkg/lease/leasetest"
	"github.com/understudy-ha/understudy/pkg/state"
)

// three are the settings for a cluster, with its members in this order.
func three(members ...*leasetest.Server) config.Etcd {
	cfg := settings()
	for _, m := range members {
		cfg.Endpoints = append(cfg.Endpoints, m.Endpoint)
	}
	cfg.TTL, cfg.Timeout = 10*time.Second, time.Second
	return cfg
}

// leader returns the member that leads, and the others.
func leader(t *testing.T, members []*leasetest.Server) (first *leasetest.Server, others []*leasetest.Server) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		first, others = nil, nil
		for _, m := range members {
			if first == nil && m.Leads() {
				first = m
			} else {
				others = append(others, m)
			}
		}
		if first != nil {
			return first, others
		}
		if time.Since(began) > 20*time.Second {
			t.Fatal("no member leads")
		}
	}
}

// kept is a lease that is renewed as an active node does it.
type kept struct {
	mu    sync.Mutex
	lease state.Lease
	times int // how often it was renewed
	last  error
}

// keep renews a lease until the function that it returns is called.
func keep(t *testing.T, e *lease.Etcd, l state.Lease) (k *kept, stop func()) {
	k = &kept{lease: l}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			renewed, err := e.Renew(ctx, l)
			k.mu.Lock()
			if k.last = err; err == nil {
				l, k.lease = renewed, renewed
				k.times++
			}
			k.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(300 * time.Millisecond):
			}
		}
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(stop)
	return k, stop
}

// left is how long the lease lasts as its holder counts.
func (k *kept) left(t *testing.T) time.Duration {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lease.Left(must[time.Duration](t)(clock.System().SinceBoot()))
}

// renewed waits until the lease was renewed some more times, or is over; nobody
// else may have it before.
func (k *kept) renewed(t *testing.T, what string, more int, other *lease.Etcd) (over bool) {
	t.Helper()
	k.mu.Lock()
	want := k.times + more
	k.mu.Unlock()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if _, err := other.Take(t.Context(), lease.Holder{Node: "b"}); err == nil {
			if left := k.left(t); left > 0 {
				t.Fatalf("%s: another node got the lease %s before its holder counts it as over", what, left)
			}
			return true
		}
		k.mu.Lock()
		times, last := k.times, k.last
		k.mu.Unlock()
		if times >= want {
			t.Logf("%s: renewed %d times in %.1f s", what, more, time.Since(began).Seconds())
			return false
		}
		if time.Since(began) > 30*time.Second {
			t.Fatalf("%s: neither renewed nor over: %v", what, last)
		}
	}
}

// A cluster of three outlives one member, and a single member of it is never taken
// for all.
func TestCluster(t *testing.T) {
	members := leasetest.Cluster(t)
	for _, c := range []struct {
		name string
		// leads says that the leader is: another one has to be elected, in which the
		// lease may end.
		leads bool
	}{{"one is down", false}, {"the leader is down", true}} {
		t.Run(c.name, func(t *testing.T) {
			first, others := leader(t, members)
			lost := others[0]
			if c.leads {
				lost = first
			}
			a, b := open(t, three(members...)), open(t, three(members...))
			var l state.Lease
			tries(t, "a takes it", func() (err error) { l, err = a.Take(t.Context(), lease.Holder{Node: "a"}); return err })
			k, stop := keep(t, a, l)
			k.renewed(t, "three members", 2, b)
			lost.End()
			over := k.renewed(t, "two members", 3, b)
			if over && !c.leads {
				t.Error("the lease was lost with one member that does not lead")
			}
			stop()
			lost.Run()
			// Its node takes it again, and releases it.
			as, e := "a", a
			if over {
				as, e = "b", b
			}
			tries(t, "free again", func() error {
				l, err := e.Take(t.Context(), lease.Holder{Node: as})
				if err != nil {
					return err
				}
				return e.GiveBack(t.Context(), l)
			})
		})
	}
	t.Run("a member that was left behind", func(t *testing.T) { leftBehind(t, members) })
}

// leftBehind: a member that has missed what the others have agreed on says nothing
// that is no longer so, also while it still takes itself for the leader; one that is
// left alone says nothing at all.
func leftBehind(t *testing.T, members []*leasetest.Server) {
	old, others := leader(t, members)
	ctx := t.Context()
	a, b := open(t, three(others...)), open(t, three(others...))
	var held, next state.Lease
	tries(t, "a takes it", func() (err error) { held, err = a.Take(ctx, lease.Holder{Node: "a"}); return err })
	alone := open(t, three(old))
	tries(t, "the leader says who has it", func() error {
		holder, found, err := alone.Holder(ctx)
		if err == nil && (!found || holder.Node != "a") {
			t.Fatalf("found %v, holder %+v", found, holder)
		}
		return err
	})
	old.Freeze()
	leader(t, others)
	tries(t, "a gives it back", func() error { return a.GiveBack(ctx, held) })
	tries(t, "b takes it", func() (err error) { next, err = b.Take(ctx, lease.Holder{Node: "b"}); return err })
	old.Thaw()
	// The first answers count: it has slept through all of it.
	tries(t, "the old leader says who has it", func() error {
		if l, err := alone.Renew(ctx, held); err == nil {
			t.Fatalf("it has renewed what was given back: %+v", l)
		}
		if l, err := alone.Take(ctx, lease.Holder{Node: "a"}); err == nil {
			t.Fatalf("it has given away what another node has: %+v", l)
		}
		holder, found, err := alone.Holder(ctx)
		if err == nil && (!found || holder.Node != "b") {
			t.Fatalf("found %v, holder %+v", found, holder)
		}
		return err
	})

	for _, m := range others {
		m.End()
	}
	// Its members are asked in turn: those that are down, and the one that is left.
	all := open(t, three(old, others[0], others[1]))
	for _, e := range []*lease.Etcd{alone, all} {
		var silent *lease.UnreachableError
		began := time.Now()
		if _, err := e.Renew(ctx, next); !errors.As(err, &silent) {
			t.Errorf("renewed by one of three: %v", err)
		}
		if _, _, err := e.Holder(ctx); !errors.As(err, &silent) {
			t.Errorf("told by one of three: %v", err)
		}
		if _, err := e.Take(ctx, lease.Holder{Node: "a"}); !errors.As(err, &silent) {
			t.Errorf("taken from one of three: %v", err)
		}
		if took := time.Since(began); took > 9*time.Second {
			t.Errorf("that took %s", took)
		}
	}
}

// tries repeats what may fail while a leader is elected.
func tries(t *testing.T, what string, do func() error) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := do()
		if err == nil {
			return
		}
		if time.Since(began) > 30*time.Second {
			t.Fatalf("%s: %v", what, err)
		}
	}
}
