package probe

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/witness"
)

// Limit bounds all checks together. keepalived ends a check after a second, which also
// includes the start and the end of the process.
const Limit = 650 * time.Millisecond

// Mode is the standard to which a node is held.
type Mode string

// The modes. A node in transition passes as long as it progresses.
const (
	Serves     Mode = "serves"
	Promotes   Mode = "is being promoted, or hands over"
	CouldServe Mode = "could serve"
)

// Verdict is the result of one check.
type Verdict string

// The verdicts. Only Failed makes a node unhealthy.
const (
	Passed  Verdict = "ok"
	Warned  Verdict = "warning"
	Failed  Verdict = "failed"
	Skipped Verdict = "not checked"
)

// Check is one check with its outcome.
type Check struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	Text    string  `json:"text,omitempty"`
	Seconds float64 `json:"seconds"`
}

// Result is the result of a run.
type Result struct {
	Time    time.Time  `json:"time"`
	Role    state.Role `json:"role"`
	Mode    Mode       `json:"mode"`
	Healthy bool       `json:"healthy"`
	Checks  []Check    `json:"checks"`
	Seconds float64    `json:"seconds"`
	// Answered is when Traefik last answered on this node as the active one, in this
	// run or an earlier one.
	Answered time.Time `json:"answered,omitzero"`
	// Inside is the container's own address for the ping, as the engine last reported
	// it; "" if unknown or not needed.
	Inside string `json:"inside,omitempty"`
	// EngineSilent is the time since which the engine gives no information about the
	// container on the active node; zero while it does.
	EngineSilent time.Time `json:"engine_silent,omitzero"`
	// EngineRefuses is the engine's error if it answers but refuses the call.
	EngineRefuses string `json:"engine_refuses,omitempty"`
	// EngineAPI is the last used version of the Engine API, or "".
	EngineAPI string `json:"engine_api,omitempty"`
	// Before is the record of the last run; nil if unknown.
	Before *state.Probe `json:"-"`
}

// texts returns "NAME: TEXT" for the checks with a verdict.
func (r Result) texts(v Verdict) []string {
	var list []string
	for _, c := range r.Checks {
		if c.Verdict == v {
			list = append(list, c.Name+": "+c.Text)
		}
	}
	return list
}

// Failures returns the checks that make the node unhealthy.
func (r Result) Failures() []string { return r.texts(Failed) }

// Warnings returns the problems that leave the node healthy.
func (r Result) Warnings() []string { return r.texts(Warned) }

// Engine holds the calls of the Docker Engine.
type Engine interface {
	Ping(ctx context.Context) error
	Inspect(ctx context.Context, name string) (docker.Details, error)
	HasImage(ctx context.Context, ref string) (bool, error)
	// API and SetAPI pass the version of the Engine API from run to run: negotiating it
	// each second would double the calls.
	API() string
	SetAPI(version string)
}

// Probe holds the dependencies of a run.
type Probe struct {
	Config *config.Config
	State  *state.Dir
	Engine Engine
	// Kstat is the folder in which the kernel lists its pools.
	Kstat string
	// Boot is the kernel's id of this boot: a role from an earlier boot does not count.
	// If it is "", every role counts.
	Boot string
	Now  func() time.Time
}

// New returns the probe of this machine.
func New(cfg *config.Config, dir *state.Dir, now func() time.Time) *Probe {
	boot, err := state.BootID()
	if err != nil {
		boot = "" // every role counts
	}
	return &Probe{
		Config: cfg, State: dir, Engine: docker.New(cfg.Services.Socket),
		Kstat: "/proc/spl/kstat/zfs", Boot: boot, Now: now,
	}
}

// named is a check that has not run yet.
type named struct {
	name string
	do   func(ctx context.Context) (Verdict, string)
}

// Run runs all checks in parallel. A check that has not answered when ctx or Limit ends
// has failed.
func (p *Probe) Run(ctx context.Context) Result {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	result := Result{Time: p.Now()}
	role, err := p.State.Role()
	if err != nil {
		// An unknown role is checked like a standby's, and is itself a failure.
		result.Checks = append(result.Checks, Check{Name: "state", Verdict: Failed, Text: err.Error()})
	}
	result.Role, result.Mode = role.Role, p.mode(role)
	// Without a record a node gets its grace period again.
	if last, found, err := state.Lazy(p.Config.RunDir).Probe(); err == nil && found {
		result.Answered, result.Before = last.Answered, &last
		p.Engine.SetAPI(last.EngineAPI)
		if result.Mode == Serves { // otherwise another container may have the address by now
			result.Inside = last.Inside
		}
	}
	var seen atomic.Pointer[docker.Details] // an abandoned check may still write it
	result.Checks = append(result.Checks, runAll(ctx, p.checks(result.Mode, role, result.Answered, &seen))...)
	result.EngineAPI = p.Engine.API()
	if c := seen.Load(); c != nil {
		result.Inside = insideOf(*c, p.Config.Probe.Ping)
	}
	if result.Mode == Serves {
		noteEngine(&result)
		answers := p.askInside(ctx, result.Checks, result.Inside)
		if forgiveEngine(result.Checks, answers) {
			result.Answered = result.Time
		}
	}
	result.Healthy = len(result.Failures()) == 0
	result.Seconds = time.Since(began).Seconds()
	return result
}

// noteEngine records since when the engine gives no information about the container,
// and its refusal.
func noteEngine(result *Result) {
	i := slices.IndexFunc(result.Checks, func(c Check) bool { return c.Verdict == engineDown })
	if i < 0 {
		return
	}
	result.EngineSilent = result.Time
	if result.Before != nil && !result.Before.EngineSilent.IsZero() {
		result.EngineSilent = result.Before.EngineSilent
	}
	if text := result.Checks[i].Text; text != engineSilent {
		result.EngineRefuses = text
	}
}

// mode returns the mode for a role.
func (p *Probe) mode(role state.RoleFile) Mode {
	if role.Boot != "" && p.Boot != "" && role.Boot != p.Boot {
		return CouldServe
	}
	switch {
	case role.Role == state.RoleActive:
		return Serves
	case role.HandsOver() && p.progresses(role):
		// The virtual IP must move when everything is sent, not because an engine that
		// stops containers answers slowly.
		return Promotes
	case role.Role == state.RolePromoting && p.progresses(role):
		return Promotes
	case role.Role == state.RolePromoting:
		return Serves
	}
	// A demoting node need not serve; it must be able to, to stay a standby.
	return CouldServe
}

// progresses reports whether a transition has made a step within the grace period.
func (p *Probe) progresses(role state.RoleFile) bool {
	progress := role.Since
	if role.Transition != nil {
		progress = role.Transition.Updated
	}
	return p.Now().Sub(progress) <= p.Config.Probe.Grace
}

// checks returns the checks of a mode. The container of an active node is stored in
// seen while it runs.
func (p *Probe) checks(mode Mode, role state.RoleFile, answered time.Time, seen *atomic.Pointer[docker.Details]) []named {
	var list []named
	add := func(name string, do func(context.Context) (Verdict, string)) { list = append(list, named{name, do}) }
	cfg := p.Config
	switch mode {
	case Serves:
		if cfg.Probe.Container != "" {
			add(checkContainer, func(ctx context.Context) (Verdict, string) { return p.container(ctx, seen) })
		}
		if cfg.Probe.Ping != "" {
			add(checkPing, func(ctx context.Context) (Verdict, string) { return p.ping(ctx, role, answered) })
		}
		if cfg.Witness.Etcd.Configured() {
			add("lease", func(context.Context) (Verdict, string) { return p.lease() })
		}
	case CouldServe:
		if cfg.Probe.Container != "" {
			add("engine", p.engine)
			add("image", p.image)
		}
		add("hold", func(context.Context) (Verdict, string) { return p.hold() })
		add("hold-down", func(context.Context) (Verdict, string) { return p.holdDown(role) })
	}
	for _, pools := range poolsOf(cfg) {
		add("pool", func(context.Context) (Verdict, string) { return p.pool(pools) })
	}
	if targets := cfg.Witness.Targets; len(targets) > 0 {
		add("witness", func(ctx context.Context) (Verdict, string) {
			answer := witness.Ask(ctx, targets, min(cfg.Witness.Timeout, Limit))
			if answer.Reachable {
				return Passed, answer.String()
			}
			return Failed, answer.String() + "; this node is isolated"
		})
	}
	return list
}

// runAll runs the checks in parallel and keeps their order.
func runAll(ctx context.Context, list []named) []Check {
	type done struct {
		i     int
		check Check
	}
	began := time.Now()
	results := make(chan done, len(list)) // late results block no goroutine
	for i, one := range list {
		go func() {
			verdict, text := one.do(ctx)
			results <- done{i, Check{one.name, verdict, text, time.Since(began).Seconds()}}
		}()
	}
	checks := make([]Check, len(list))
	for range list {
		select {
		case d := <-results:
			checks[d.i] = d.check
		case <-ctx.Done():
			// Results that have just arrived still count.
			for len(results) > 0 {
				d := <-results
				checks[d.i] = d.check
			}
			for i, one := range list {
				if checks[i].Name == "" {
					took := time.Since(began)
					checks[i] = Check{one.name, Failed, fmt.Sprintf("no answer in %d ms", took.Milliseconds()), took.Seconds()}
				}
			}
			return checks
		}
	}
	return checks
}

// forgiveEngine turns the failure of an engine that does not answer, or refuses the
// call, into a warning if the service answers: containers run without their engine
// (live-restore), and moving the virtual IP would only do harm. It reports whether the
// service answers, by the ping or inside.
func forgiveEngine(checks []Check, answersInside bool) (answers bool) {
	answers = answersInside
	for _, c := range checks {
		answers = answers || c.Name == checkPing && c.Verdict == Passed
	}
	for i := range checks {
		if answers && checks[i].Name == checkContainer && checks[i].Verdict == engineDown {
			checks[i].Verdict = Warned
			checks[i].Text += butTraefik(checks[i].Text)
		}
		if checks[i].Verdict == engineDown {
			checks[i].Verdict = Failed
		}
	}
	return answers
}

// butTraefik returns the text after an engine's failure while Traefik answers.
func butTraefik(text string) string {
	if text == engineSilent {
		return ", but Traefik does"
	}
	return "; Traefik answers"
}
