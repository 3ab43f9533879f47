package failover

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
	"github.com/understudy-ha/understudy/pkg/state"
)

// resolving is an active node a, and b as the other side of a conflict.
func resolving(t *testing.T, did *[]string) *fake {
	f := serving(t)
	f.peers.set("b", PeerState{Node: "b", Role: state.RoleActive, Term: 2, ActiveTerm: 2, NewestTerm: 2, Writers: true})
	f.Node.Remote = func(_ context.Context, peer config.Node, _ time.Duration, args ...string) error {
		if f.data.isWritable() && args[1] == "--stay" {
			t.Error("the other node is to go on while this one still writes")
		}
		*did = append(*did, peer.Name+" "+strings.Join(args, " "))
		return nil
	}
	f.Node.Rejoin = func(_ context.Context, from string) error {
		*did = append(*did, "rejoin "+from)
		return nil
	}
	return f
}

func TestResolveGivesWay(t *testing.T) {
	var did []string
	f := resolving(t, &did)
	if err := f.Resolve(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	f.is(t, state.RoleStandby)
	if want := []string{"b resolve --stay", "rejoin b"}; !slices.Equal(did, want) {
		t.Errorf("did %q, want %q", did, want)
	}
	if len(f.services.names()) > 0 {
		t.Errorf("still running: %v", f.services.names())
	}
	last, _, err := f.State.Eligibility()
	if err != nil || has(last.Reasons, state.IneligibleConflict) {
		t.Errorf("the conflict stands: %v, %v", last.Reasons, err)
	}
}

// Without a conflict nothing is given up, whatever was typed.
func TestResolveNothing(t *testing.T) {
	var did []string
	f := resolving(t, &did)
	f.peers.set("b", PeerState{Node: "b", Role: state.RoleStandby, Eligible: true})
	err := f.Resolve(t.Context(), "b")
	if refused, ok := errors.AsType[*UnresolvedError](err); !ok || !strings.Contains(refused.Hint(), "switchover") {
		t.Fatalf("error %v", err)
	}
	f.is(t, state.RoleActive)
	f.writes(t, true)
	if len(did) > 0 || !state.Shown(f.Config.RunDir) {
		t.Errorf("did %q, eligible %v", did, state.Shown(f.Config.RunDir))
	}
	// What replication has found is one.
	found := map[string]any{"standbys": map[string]any{"b": map[string]any{"datasets": map[string]any{"tank/app": map[string]string{"action": "conflict"}}}}}
	if err := f.State.Write("replication", found); err != nil {
		t.Fatal(err)
	}
	f.Node.Remote = func(context.Context, config.Node, time.Duration, ...string) error {
		f.peers.set("b", PeerState{Node: "b", Role: state.RoleActive})
		return nil
	}
	if err := f.Resolve(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	f.is(t, state.RoleStandby)
}

// One that could not become active is not given way to.
func TestResolveHeld(t *testing.T) {
	var did []string
	f := resolving(t, &did)
	f.peers.set("b", PeerState{Node: "b", Role: state.RoleFault, Reasons: []state.Ineligible{
		{Kind: state.IneligibleConflict, Text: "both were active"}, {Kind: state.IneligibleHold, Text: "held: new disk"}}})
	err := f.Resolve(t.Context(), "b")
	if refused, ok := errors.AsType[*UnresolvedError](err); !ok || !strings.Contains(err.Error(), "new disk") || strings.Contains(err.Error(), "both") || !strings.Contains(refused.Hint(), "release") {
		t.Fatalf("error %v", err)
	}
	f.is(t, state.RoleActive)
	if len(did) > 0 || !state.Shown(f.Config.RunDir) {
		t.Errorf("did %q, eligible %v", did, state.Shown(f.Config.RunDir))
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
	f.Node.Rejoin = f.rejoin
	if err := f.Resolve(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
}

// What can't be kept is not rolled back, and the node stays out.
func TestResolveRejoinFails(t *testing.T) {
	var did []string
	f := resolving(t, &did)
	f.Node.Rejoin = func(context.Context, string) error { return errors.New("no room") }
	err := f.Resolve(t.Context(), "b")
	if err == nil || !strings.Contains(err.Error(), "no room") {
		t.Fatalf("error %v", err)
	}
	if last, _, _ := f.State.Eligibility(); !has(last.Reasons, state.IneligibleConflict) {
		t.Error("the conflict is lifted though it is not resolved")
	}
}

// A node that can't be asked is not given way to.
func TestResolveSilent(t *testing.T) {
	var did []string
	f := resolving(t, &did)
	f.peers.with("b", func() (PeerState, error) {
		return PeerState{}, &UnreachableError{"b", "10.0.0.2", errors.New("no route")}
	})
	for _, keep := range []string{"a", "b"} {
		err := f.Resolve(t.Context(), keep)
		if refused, ok := errors.AsType[*UnresolvedError](err); !ok || refused.ExitCode() != 76 {
			t.Errorf("--keep %s: error %v", keep, err)
		}
	}
	f.is(t, state.RoleActive)
	if len(did) > 0 || !state.Shown(f.Config.RunDir) {
		t.Errorf("did %q, eligible %v", did, state.Shown(f.Config.RunDir))
	}
}

// The node that goes on lets the other one give way, and then takes the newest
// term: else the other would not receive from it.
func TestResolveStays(t *testing.T) {
	var did []string
	f := resolving(t, &did)
	if err := f.Resolve(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"b resolve --give-way"}; !slices.Equal(did, want) {
		t.Errorf("did %q, want %q", did, want)
	}
	if err := f.Stay(t.Context()); err == nil {
		t.Error("it goes on though b has not given way")
	}
	if err := f.exclude(t.Context(), state.IneligibleConflict, "both were active"); err != nil {
		t.Fatal(err)
	}
	f.peers.set("b", PeerState{Node: "b", Role: state.RoleStandby, Term: 2, ActiveTerm: 2, NewestTerm: 2})
	if err := f.Stay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if role := f.is(t, state.RoleActive); role.Term != 3 || role.ActiveTerm != 3 {
		t.Errorf("terms %d, %d, want 3", role.Term, role.ActiveTerm)
	}
	if !state.Shown(f.Config.RunDir) {
		t.Error("it may not hold the address")
	}
}
