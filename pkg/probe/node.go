package probe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/state"
)

// lease checks whether an active node may stay active. The watcher renews the lease and
// steps down in time; a dead or hanging watcher does not.
func (p *Probe) lease() (Verdict, string) {
	dir, err := state.Open(p.Config.RunDir)
	if err != nil {
		return Failed, err.Error()
	}
	l, found, err := dir.Lease(p.Boot)
	if err != nil {
		return Failed, err.Error()
	}
	if !found {
		return Warned, "active, but no lease yet"
	}
	now, err := clock.System().SinceBoot()
	if err != nil {
		return Failed, err.Error()
	}
	switch left := l.Left(now); {
	case l.Lost != "":
		return Failed, l.Lost
	case left <= p.Config.Witness.Etcd.Margin:
		return Failed, fmt.Sprintf("expires in %d s and is not renewed", int(max(left, 0).Seconds()))
	default:
		return Passed, fmt.Sprintf("expires in %d s unless it is renewed", int(left.Seconds()))
	}
}

// hold checks whether the operator holds the node.
func (p *Probe) hold() (Verdict, string) {
	e, found, err := p.State.Eligibility()
	if err != nil {
		return Failed, err.Error()
	}
	if found {
		for _, reason := range e.Reasons {
			if reason.Kind == state.IneligibleHold {
				return Failed, reason.Text
			}
		}
	}
	return Passed, "none"
}

// holdDown keeps a node unhealthy for a while after a fault that moved the virtual IP,
// so that a failing service does not move it back and forth. A node that went into
// fault as a standby moved nothing, and does not wait.
func (p *Probe) holdDown(role state.RoleFile) (Verdict, string) {
	if role.Role != state.RoleFault || role.Transition == nil {
		return Passed, "none"
	}
	switch role.Transition.From {
	case state.RoleActive, state.RolePromoting, state.RoleDemoting:
	default:
		return Passed, "none"
	}
	left := p.Config.Probe.HoldDown - p.Now().Sub(role.Since)
	if left <= 0 || left > p.Config.Probe.HoldDown { // a clock that was set back must not extend it
		return Passed, "over"
	}
	return Failed, fmt.Sprintf("in fault since %s, unhealthy for another %d s", role.Since.Format(time.TimeOnly), int(left.Round(time.Second).Seconds()))
}

// poolsOf returns the pools that must be healthy, each with its name on the other node
// if that differs.
func poolsOf(cfg *config.Config) [][]string {
	var list [][]string
	for _, d := range cfg.Replication.Datasets {
		name, _, _ := strings.Cut(d.Name, "/")
		target, _, _ := strings.Cut(d.TargetName(), "/")
		names := slices.Compact([]string{name, target})
		if !slices.ContainsFunc(list, func(other []string) bool { return slices.Equal(other, names) }) {
			list = append(list, names)
		}
	}
	return list
}

// pool reads a pool's state from the kernel, which needs no process and does not hang
// with the pool.
func (p *Probe) pool(names []string) (Verdict, string) {
	if _, err := os.Stat(p.Kstat); err != nil {
		return Skipped, fmt.Sprintf("the kernel lists no pools (%s)", p.Kstat)
	}
	verdict, text := Passed, ""
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(p.Kstat, name, "state"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Failed, fmt.Sprintf("%s: %v", name, err)
		}
		condition := strings.TrimSpace(string(data))
		if condition != "ONLINE" && condition != "DEGRADED" {
			return Failed, name + " is " + condition
		}
		if condition == "DEGRADED" {
			verdict = Warned
		}
		text = name + " is " + condition
	}
	if text == "" {
		return Failed, strings.Join(names, " or ") + " is not imported"
	}
	return verdict, text
}
