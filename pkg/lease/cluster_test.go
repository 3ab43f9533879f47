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

// three returns the settings of a cluster, with its members in this order.
func three(members ...*leasetest.Server) config.Etcd {
	cfg := settings()
	for _, m := range members {
		cfg.Endpoints = append(cfg.Endpoints, m.Endpoint)
	}
	cfg.TTL, cfg.Timeout = 10*time.Second, time.Second
	return cfg
}

// leader returns the leader, and the other members.
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

// renewal renews a lease as an active node does.
type renewal struct {
	mu    sync.Mutex
	lease state.Lease
	times int // number of renewals
	last  error
}

// renew renews a lease until stop is called.
func renew(t *testing.T, e *lease.Etcd, l state.Lease) (k *renewal, stop func()) {
	k = &renewal{lease: l}
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

// left returns the remaining time of the lease by its holder's count.
func (k *renewal) left(t *testing.T) time.Duration {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lease.Left(must[time.Duration](t)(clock.System().SinceBoot()))
}

// renewed waits until the lease was renewed some more times, or is over. No other node
// may get it before.
func (k *renewal) renewed(t *testing.T, what string, more int, other *lease.Etcd) (over bool) {
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

// A cluster of three survives the loss of one member, and a single member never counts
// as the cluster.
func TestCluster(t *testing.T) {
	members := leasetest.Cluster(t)
	for _, c := range []struct {
		name string
		// leads reports that the leader is lost: during the election the lease may expire.
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
			k, stop := renew(t, a, l)
			k.renewed(t, "three members", 2, b)
			lost.End()
			over := k.renewed(t, "two members", 3, b)
			if over && !c.leads {
				t.Error("the lease was lost with one member that does not lead")
			}
			stop()
			lost.Run()
			// The holder takes it again, and releases it.
			as, e := "a", a
			if over {
				as, e = "b", b
			}
			tries(t, "free again", func() error {
				l, err := e.Take(t.Context(), lease.Holder{Node: as})
				if err != nil {
					return err
				}
				return e.Release(t.Context(), l)
			})
		})
	}
	t.Run("a member that was left behind", func(t *testing.T) { leftBehind(t, members) })
}

// leftBehind: a member that has missed decisions of the others gives no stale answers,
// even while it considers itself the leader. A member without the others gives none.
func leftBehind(t *testing.T, members []*leasetest.Server) {
	old, others := leader(t, members)
	ctx := t.Context()
	a, b := open(t, three(others...)), open(t, three(others...))
	var held, next state.Lease
	tries(t, "a takes it", func() (err error) { held, err = a.Take(ctx, lease.Holder{Node: "a"}); return err })
	alone := open(t, three(old))
	tries(t, "the leader names the holder", func() error {
		holder, found, err := alone.Holder(ctx)
		if err == nil && (!found || holder.Node != "a") {
			t.Fatalf("found %v, holder %+v", found, holder)
		}
		return err
	})
	old.Freeze()
	leader(t, others)
	tries(t, "a releases it", func() error { return a.Release(ctx, held) })
	tries(t, "b takes it", func() (err error) { next, err = b.Take(ctx, lease.Holder{Node: "b"}); return err })
	old.Thaw()
	// The first answers count: it was frozen all the time.
	tries(t, "the old leader names the holder", func() error {
		if l, err := alone.Renew(ctx, held); err == nil {
			t.Fatalf("it has renewed a released lease: %+v", l)
		}
		if l, err := alone.Take(ctx, lease.Holder{Node: "a"}); err == nil {
			t.Fatalf("it has granted a lease that another node holds: %+v", l)
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
	// The members are asked in turn: those that are down, and the remaining one.
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

// tries repeats calls that may fail while a leader is elected.
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
