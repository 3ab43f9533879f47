package move

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/state"
)

// resolving is an active node a, and b as the other side of a conflict.
func resolving(t *testing.T, did *[]string) *fake {
	f := serving(t)
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleActive, Term: 2, ActiveTerm: 2, NewestTerm: 2, Writers: true})
	f.mover.Remote = func(_ context.Context, peer config.Node, _ time.Duration, args ...string) error {
		if f.Datasets.Writable() && args[1] == "--stay" {
			t.Error("the other node is to go on while this one still writes")
		}
		*did = append(*did, peer.Name+" "+strings.Join(args, " "))
		return nil
	}
	f.mover.Rejoin = func(_ context.Context, from string) error {
		*did = append(*did, "rejoin "+from)
		return nil
	}
	return f
}

func TestResolveGivesWay(t *testing.T) {
	var did []string
	f := resolving(t, &did)
	if err := f.mover.Resolve(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	f.Is(t, state.RoleStandby)
	if want := []string{"b resolve --stay", "rejoin b"}; !slices.Equal(did, want) {
		t.Errorf("did %q, want %q", did, want)
	}
	if len(f.Projects.Names()) > 0 {
		t.Errorf("still running: %v", f.Projects.Names())
	}
	last, _, err := f.State.Eligibility()
	if err != nil || rules.Has(last.Reasons, state.IneligibleConflict) {
		t.Errorf("the conflict stands: %v, %v", last.Reasons, err)
	}
}

// Without a conflict nothing is released, whatever was typed.
func TestResolveNothing(t *testing.T) {
	var did []string
	f := resolving(t, &did)
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleStandby, Eligible: true})
	err := f.mover.Resolve(t.Context(), "b")
	if refused, ok := errors.AsType[*UnresolvedError](err); !ok || !strings.Contains(refused.Hint(), "switchover") {
		t.Fatalf("error %v", err)
	}
	f.Is(t, state.RoleActive)
	f.Writes(t, true)
	if len(did) > 0 || !f.ShownEligible() {
		t.Errorf("did %q, eligible %v", did, f.ShownEligible())
	}
	// What replication has found is one.
	found := map[string]any{"standbys": map[string]any{"b": map[string]any{"datasets": map[string]any{"tank/app": map[string]string{"action": "conflict"}}}}}
	if err := f.State.Write("replication", found); err != nil {
		t.Fatal(err)
	}
	f.mover.Remote = func(context.Context, config.Node, time.Duration, ...string) error {
		f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleActive})
		return nil
	}
	if err := f.mover.Resolve(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	f.Is(t, state.RoleStandby)
}

// No node steps down for a peer that could not become active.
func TestResolveHeld(t *testing.T) {
	var did []string
	f := resolving(t, &did)
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleFault, Reasons: []state.Ineligible{
		{Kind: state.IneligibleConflict, Text: "both were active"}, {Kind: state.IneligibleHold, Text: "held: new disk"}}})
	err := f.mover.Resolve(t.Context(), "b")
	if refused, ok := errors.AsType[*UnresolvedError](err); !ok || !strings.Contains(err.Error(), "new disk") || strings.Contains(err.Error(), "both") || !strings.Contains(refused.Hint(), "release") {
		t.Fatalf("error %v", err)
	}
	f.Is(t, state.RoleActive)
	if len(did) > 0 || !f.ShownEligible() {
		t.Errorf("did %q, eligible %v", did, f.ShownEligible())
	}
}

// A run of cron's, or the same command on the other node, is waited for.
func TestResolveWaitsForARun(t *testing.T) {
	var did []string
	f := resolving(t, &did)
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	script := "#!/bin/sh\n[ -e " + bin + "/done ] && exit 0\n: >" + bin + "/done\necho 'zfs-replicate: error: another run holds the lock' >&2\nexit 75\n"
	if err := os.WriteFile(filepath.Join(bin, "zfs-replicate"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	f.mover.Rejoin = f.mover.rejoin
	if err := f.mover.Resolve(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
}

// What can't be kept is not rolled back, and the node stays out.
func TestResolveRejoinFails(t *testing.T) {
	var did []string
	f := resolving(t, &did)
	f.mover.Rejoin = func(context.Context, string) error { return errors.New("no room") }
	err := f.mover.Resolve(t.Context(), "b")
	if err == nil || !strings.Contains(err.Error(), "no room") {
		t.Fatalf("error %v", err)
	}
	if last, _, _ := f.State.Eligibility(); !rules.Has(last.Reasons, state.IneligibleConflict) {
		t.Error("the conflict is lifted though it is not resolved")
	}
}

// No node steps down for a peer that does not answer.
func TestResolveSilent(t *testing.T) {
	var did []string
	f := resolving(t, &did)
	f.Pair.With("b", func() (rules.PeerState, error) {
		return rules.PeerState{}, &remote.UnreachableError{Node: "b", Address: "10.0.0.2", Err: errors.New("no route")}
	})
	for _, keep := range []string{"a", "b"} {
		err := f.mover.Resolve(t.Context(), keep)
		if refused, ok := errors.AsType[*UnresolvedError](err); !ok || refused.ExitCode() != 76 {
			t.Errorf("--keep %s: error %v", keep, err)
		}
	}
	f.Is(t, state.RoleActive)
	if len(did) > 0 || !f.ShownEligible() {
		t.Errorf("did %q, eligible %v", did, f.ShownEligible())
	}
}

// The kept node has its peer step down, and then takes the newest term: else the peer
// would not receive from it.
func TestResolveStays(t *testing.T) {
	var did []string
	f := resolving(t, &did)
	if err := f.mover.Resolve(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"b resolve --give-way"}; !slices.Equal(did, want) {
		t.Errorf("did %q, want %q", did, want)
	}
	if err := f.mover.Stay(t.Context()); err == nil {
		t.Error("it goes on though b has not stepped down")
	}
	if err := f.Exclude(t.Context(), state.IneligibleConflict, "both were active"); err != nil {
		t.Fatal(err)
	}
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleStandby, Term: 2, ActiveTerm: 2, NewestTerm: 2})
	if err := f.mover.Stay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if role := f.Is(t, state.RoleActive); role.Term != 3 || role.ActiveTerm != 3 {
		t.Errorf("terms %d, %d, want 3", role.Term, role.ActiveTerm)
	}
	if !f.ShownEligible() {
		t.Error("it may not hold the address")
	}
}

// Both were promoted under the same term. The kept node takes a newer one. Else both
// would count as the node that was active last, and after a boot of both the one with
// older data might serve.
func TestAStayEndsEqualTerms(t *testing.T) {
	var did []string
	f := resolving(t, &did)
	role := f.Is(t, state.RoleActive)
	f.Pair.Set("b", rules.PeerState{Node: "b", Role: state.RoleStandby, Term: role.Term, ActiveTerm: role.Term, NewestTerm: role.Term})
	if err := f.mover.Stay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := f.Is(t, state.RoleActive); now.Term != role.Term+1 || now.ActiveTerm != now.Term || now.NewestTerm != now.Term {
		t.Errorf("terms %d, %d, %d, want %d", now.Term, now.ActiveTerm, now.NewestTerm, role.Term+1)
	}
	if err := f.mover.Stay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := f.Is(t, state.RoleActive); now.Term != role.Term+1 {
		t.Errorf("again: term %d, want %d", now.Term, role.Term+1)
	}
}
