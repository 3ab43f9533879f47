package holder_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/holder"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/lease"
	"github.com/understudy-ha/understudy/pkg/lease/leasetest"
	"github.com/understudy-ha/understudy/pkg/state"
)

// leased is a fake node that needs a lease of a real etcd to be active. Its
// peers are down, as in a partition.
func leased(t *testing.T, server *leasetest.Server, name string) *fake {
	t.Helper()
	f := newFake(t)
	f.Self = f.Config.Nodes[slices.IndexFunc(f.Config.Nodes, func(n config.Node) bool { return n.Name == name })]
	f.Config.Witness.Etcd = config.Etcd{Endpoints: []string{server.Endpoint}, TTL: 8 * time.Second, Margin: 4 * time.Second,
		Timeout: time.Second, Prefix: "/understudy/"}
	f.etcd = lease.New(f.Config.Witness.Etcd)
	t.Cleanup(func() { _ = f.etcd.Close() })
	f.Lease = holder.On(f.Records, f.etcd)
	f.VIP.None = true // no keepalived moves it here
	f.Pair.Down("a")
	f.Pair.Down("b")
	return f
}

// activeWith makes a node active, with its watcher.
func (f *fake) activeWith(t *testing.T) state.Lease {
	t.Helper()
	f.Joins(t)
	if f.Self.Name == "b" {
		if _, err := f.Release(t.Context()); err != nil { // it does not come first
			t.Fatal(err)
		}
	}
	f.watches(t)
	f.Asks(t, state.RequestMaster)
	f.Becomes(t, state.RoleActive)
	l, found, err := f.RunDir.Lease(f.Boot)
	if err != nil || !found {
		t.Fatalf("active without a lease: %v", err)
	}
	return l
}

func TestTermComesFromTheLease(t *testing.T) {
	server := leasetest.Start(t)
	for range 50 { // so that etcd's revision is far ahead
		if _, err := server.Client.Put(t.Context(), "x", "y"); err != nil {
			t.Fatal(err)
		}
	}
	a, b := leased(t, server, "a"), leased(t, server, "b")
	l := a.activeWith(t)
	role := a.Is(t, state.RoleActive)
	if role.Term != l.Revision || role.Term < 50 {
		t.Errorf("term %d with a lease of revision %d", role.Term, l.Revision)
	}
	holder, _, err := b.etcd.Holder(t.Context())
	if err != nil || holder.Node != "a" || holder.Term != role.Term {
		t.Errorf("%+v %v", holder, err)
	}
	// A demotion releases it at once, and the next term is newer.
	began := time.Now()
	a.Asks(t, state.RequestBackup)
	a.Becomes(t, state.RoleStandby)
	b.activeWith(t)
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("the lease came after %s", took)
	}
	if next := b.Is(t, state.RoleActive); next.Term <= role.Term {
		t.Errorf("term %d after %d", next.Term, role.Term)
	}
	// A term that etcd knows nothing of is passed as well.
	b.Asks(t, state.RequestBackup)
	b.Becomes(t, state.RoleStandby)
	a.with(t, func(r *state.RoleFile) { r.NewestTerm = 4000 })
	a.Asks(t, state.RequestMaster)
	a.Becomes(t, state.RoleActive)
	if role := a.Is(t, state.RoleActive); role.Term != 4001 {
		t.Errorf("term %d after 4000", role.Term)
	}
}

// with changes the role that is recorded.
func (f *fake) with(t *testing.T, change func(*state.RoleFile)) {
	t.Helper()
	role, err := f.State.Role()
	if err != nil {
		t.Fatal(err)
	}
	change(&role)
	if err := f.State.SetRole(role); err != nil {
		t.Fatal(err)
	}
}

// sawBefore makes a node one that was here before another became active: nothing is
// waited for, and nothing was received since.
func (f *fake) sawBefore(t *testing.T, term uint64) {
	t.Helper()
	f.with(t, func(r *state.RoleFile) { r.NewestTerm = 0 })
	if err := f.State.Write("received", map[string]any{"term": term}); err != nil {
		t.Fatal(err)
	}
	if err := f.Weigh(t.Context(), f.AskAll(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// Two nodes cannot reach each other, while both reach etcd. The second is refused as
// soon as it has seen the lease renewed, names the holder, and waits until the lease
// is free.
func TestPartitionWithALease(t *testing.T) {
	server := leasetest.Start(t)
	a, b := leased(t, server, "a"), leased(t, server, "b")
	a.activeWith(t)
	term := a.Is(t, state.RoleActive).Term
	joined := b.Joins(t)
	if len(joined.Silent) > 0 || len(joined.Peers) != 1 || joined.Peers[0].Role != state.RoleActive || joined.Peers[0].Term != term {
		t.Errorf("the lease does not say who is active: %+v", joined)
	}
	b.sawBefore(t, term)
	b.watches(t)
	began := time.Now()
	b.Asks(t, state.RequestMaster)
	b.becomesWithin(t, state.RoleFault, b.Config.Witness.Etcd.TTL+holder.Grace)
	t.Logf("refused after %.1f s", time.Since(began).Seconds())
	role := b.Is(t, state.RoleFault)
	if !strings.Contains(role.Reason, "the lease is held by a under term") {
		t.Errorf("refused for: %s", role.Reason)
	}
	// keepalived follows the eligibility, and says no more than that.
	b.Asks(t, state.RequestFault)
	b.Becomes(t, state.RoleFault)
	if now := b.Is(t, state.RoleFault); now.Reason != role.Reason {
		t.Errorf("the reason has become: %s", now.Reason)
	}
	if err := b.Weigh(t.Context(), b.AskAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	eligibility, _, err := b.State.Eligibility()
	if err != nil || eligibility.Eligible || !rules.Has(eligibility.Reasons, state.IneligibleRefused) {
		t.Errorf("it would try again and again: %+v %v", eligibility, err)
	}
	a.Is(t, state.RoleActive)
	b.Writes(t, false)
	// The active node steps down: the second may try again.
	a.Asks(t, state.RequestBackup)
	a.Becomes(t, state.RoleStandby)
	b.Awaits(t, "eligible, since the lease is free", func() bool {
		if err := b.Weigh(t.Context(), b.AskAll(t.Context())); err != nil {
			t.Fatal(err)
		}
		return b.ShownEligible()
	})
}

// stopsAtLast lets stopping the services take until the function that it returns
// is called, or the test ends.
func (f *fake) stopsAtLast(t *testing.T) (release func()) {
	stopped := make(chan struct{})
	release = sync.OnceFunc(func() { close(stopped) })
	t.Cleanup(release) // before the watcher is waited for
	f.Projects.OnStop(func(context.Context) { <-stopped })
	return release
}

// A holder that is stopping is waited for, though it renews the lease as long as
// something may still be written there.
func TestHolderThatStops(t *testing.T) {
	server := leasetest.Start(t)
	a, b := leased(t, server, "a"), leased(t, server, "b")
	a.activeWith(t)
	release := a.stopsAtLast(t)
	b.Joins(t)
	b.sawBefore(t, a.Is(t, state.RoleActive).Term)
	a.Asks(t, state.RequestBackup)
	var seen lease.Renewals
	renewed := func() bool {
		holder, found, err := b.etcd.Holder(t.Context())
		if err != nil || !found {
			t.Fatalf("the lease is gone: %v", err)
		}
		return holder.Stopping && seen.Seen(holder)
	}
	a.Awaits(t, "renewed by a node that says that it is stopping", renewed)
	b.watches(t)
	b.Asks(t, state.RequestMaster)
	b.becomesWithin(t, state.RolePromoting, 10*time.Second)
	began := time.Now()
	b.Awaits(t, "renewed when another holder would have been found to stay", func() bool {
		if time.Since(began) < rules.ConflictAfter+a.Config.Witness.Etcd.RenewEvery() {
			return false
		}
		seen = lease.Renewals{}
		return true
	})
	b.Awaits(t, "renewed again", renewed)
	b.Is(t, state.RolePromoting)
	if status, err := b.Status(t.Context()); err != nil || !status.Lease.Stopping {
		t.Errorf("%+v, %v", status.Lease, err)
	}
	release()
	b.Becomes(t, state.RoleActive)
}

// A demotion that is turned round says no more that it is stopping.
func TestHolderThatStopsNoMore(t *testing.T) {
	server := leasetest.Start(t)
	a := leased(t, server, "a")
	l := a.activeWith(t)
	var turned sync.Once
	a.Projects.OnStop(func(ctx context.Context) { turned.Do(func() { <-ctx.Done() }) })
	says := func(stopping bool) func() bool {
		return func() bool {
			holder, _, err := a.etcd.Holder(t.Context())
			return err == nil && holder.Revision == l.Revision && holder.Stopping == stopping
		}
	}
	a.Asks(t, state.RequestBackup)
	a.Awaits(t, "it says that it is stopping", says(true))
	a.Asks(t, state.RequestMaster)
	a.Becomes(t, state.RoleActive)
	a.Awaits(t, "it says so no more", says(false))
}

// becomesWithin is becomes with other patience.
func (f *fake) becomesWithin(t *testing.T, want state.Role, within time.Duration) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		role, err := f.State.Role()
		if err != nil {
			t.Fatal(err)
		}
		if role.Role == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("role %s, want %s: %+v", role.Role, want, role.Transition)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// An active node that can't renew its lease has stopped all before etcd lets
// another one have it, whatever hangs.
func TestLeaseLost(t *testing.T) {
	for _, c := range []struct {
		name  string
		stuck bool // the services don't stop
		lose  func(*testing.T, *leasetest.Server)
		give  func(*leasetest.Server)
	}{
		{"etcd hangs", false, func(_ *testing.T, s *leasetest.Server) { s.Freeze() }, (*leasetest.Server).Thaw},
		{"etcd is down", false, func(_ *testing.T, s *leasetest.Server) { s.End() }, (*leasetest.Server).Run},
		{"etcd hangs, and the services don't stop", true, func(_ *testing.T, s *leasetest.Server) { s.Freeze() }, (*leasetest.Server).Thaw},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := leasetest.Start(t)
			a, b := leased(t, server, "a"), leased(t, server, "b")
			a.activeWith(t)
			var stopped atomic.Int64 // when nothing could be written any more, since the boot
			release := make(chan struct{})
			a.Datasets.Closed = func() {
				if at, err := clock.System().SinceBoot(); err == nil {
					stopped.CompareAndSwap(0, int64(at))
				}
			}
			if c.stuck {
				a.Projects.OnStop(func(context.Context) { <-release })
			}
			c.lose(t, server)
			last, _, err := a.RunDir.Lease(a.Boot)
			if err != nil {
				t.Fatal(err)
			}
			a.Awaits(t, "nothing is writable", func() bool { return !a.Datasets.Writable() })
			if over := time.Duration(stopped.Load()) - last.Asked - last.TTL; over > 0 {
				t.Errorf("it could still write %s after the lease's end", over)
			}
			close(release)
			a.Becomes(t, state.RoleFault)
			if role := a.Is(t, state.RoleFault); !strings.Contains(role.Transition.Reason, "could not be renewed") {
				t.Errorf("reason: %s", role.Transition.Reason)
			}
			if a.ShownEligible() {
				t.Error("still eligible without etcd")
			}
			c.give(server)
			// Only now another one can have it.
			a.Awaits(t, "the lease", func() bool {
				_, err := b.etcd.Take(t.Context(), lease.Holder{Node: "b"})
				return err == nil
			})
			a.Writes(t, false)
		})
	}
}

// Who removes the key by hand takes the services down, and at once: another node
// could have the lease by now.
func TestLeaseTakenAway(t *testing.T) {
	server := leasetest.Start(t)
	a := leased(t, server, "a")
	a.activeWith(t)
	if _, err := server.Client.Delete(t.Context(), "/understudy/active"); err != nil {
		t.Fatal(err)
	}
	a.becomesWithin(t, state.RoleFault, 10*time.Second)
	a.Writes(t, false)
}

// A node that can't ask etcd leaves the address to one that can, if there is one.
func TestNoLeaseWithoutEtcd(t *testing.T) {
	server := leasetest.Start(t)
	a := leased(t, server, "a")
	a.Joins(t)
	server.Freeze()
	a.watches(t)
	began := time.Now()
	a.Asks(t, state.RequestMaster)
	a.becomesWithin(t, state.RoleFault, a.Config.Witness.Etcd.TTL+holder.Grace)
	if role := a.Is(t, state.RoleFault); !strings.Contains(role.Reason, "does not answer") || a.ShownEligible() {
		t.Errorf("after %s: %s", time.Since(began), role.Reason)
	}
	server.Thaw()
	a.Awaits(t, "eligible, since etcd answers", func() bool { return a.ShownEligible() })
}

// A node with leftovers keeps the lease until it expires; without a watcher nothing
// would renew it.
func TestLeaseAndLeftovers(t *testing.T) {
	server := leasetest.Start(t)
	a, b := leased(t, server, "a"), leased(t, server, "b")
	a.Joins(t)
	a.Asks(t, state.RequestMaster)
	err := a.Reconcile(t.Context())
	if refused, ok := errors.AsType[*rules.RefusedError](err); !ok || !strings.Contains(refused.Text, "watcher") {
		t.Fatalf("promoted without a watcher: %v", err)
	}
	if err := a.Weigh(t.Context(), a.AskAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	a.activeWith(t)
	a.Datasets.Fails(errors.New("in use"))
	a.Asks(t, state.RequestBackup)
	a.Becomes(t, state.RoleFault)
	_, err = b.etcd.Take(t.Context(), lease.Holder{Node: "b"})
	if _, held := errors.AsType[*lease.HeldError](err); !held {
		t.Fatalf("the lease was given back with data still writable: %v", err)
	}
	a.Awaits(t, "the lease of a node that renews it no more", func() bool {
		_, err := b.etcd.Take(t.Context(), lease.Holder{Node: "b"})
		return err == nil
	})
}

// A pair that begins to need a lease while it runs takes it.
func TestLeaseOfARunningPair(t *testing.T) {
	server := leasetest.Start(t)
	a := leased(t, server, "a")
	needed := a.Lease
	a.Lease = nil
	a.Joins(t)
	a.Asks(t, state.RequestMaster)
	if err := a.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.Lease = needed
	a.watches(t)
	a.Awaits(t, "a lease", func() bool {
		holder, found, err := a.etcd.Holder(context.Background())
		return err == nil && found && holder.Node == "a"
	})
	a.Is(t, state.RoleActive)
}
