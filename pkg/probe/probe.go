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

// Limit is how long all checks together may take. keepalived ends a check after
// a second, and starting and ending the process has to fit in as well.
const Limit = 650 * time.Millisecond

// Mode is what a node is held to.
type Mode string

// The modes. A node that is becoming active is trusted as long as it gets on.
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

// Result is what a run has found.
type Result struct {
	Time    time.Time  `json:"time"`
	Role    state.Role `json:"role"`
	Mode    Mode       `json:"mode"`
	Healthy bool       `json:"healthy"`
	Checks  []Check    `json:"checks"`
	Seconds float64    `json:"seconds"`
	// Answered is when Traefik last answered as the active node's, in this run
	// or one before.
	Answered time.Time `json:"answered,omitzero"`
	// Inside is where the container itself listens for the ping, as the engine
	// said last; empty when that is not known or not needed.
	Inside string `json:"inside,omitempty"`
	// EngineSilent is since when the engine has said nothing of the container on the
	// active node; zero while it does.
	EngineSilent time.Time `json:"engine_silent,omitzero"`
	// EngineRefuses is what the engine says when it answers but refuses the call.
	EngineRefuses string `json:"engine_refuses,omitempty"`
	// EngineAPI is the version of the Engine API that was spoken last; empty while none
	// is known.
	EngineAPI string `json:"engine_api,omitempty"`
	// Before is what the last run found; nil when that is not known.
	Before *state.Probe `json:"-"`
}

// texts returns "NAME: TEXT" of the checks with a verdict.
func (r Result) texts(v Verdict) []string {
	var list []string
	for _, c := range r.Checks {
		if c.Verdict == v {
			list = append(list, c.Name+": "+c.Text)
		}
	}
	return list
}

// Failures are the checks that make the node unhealthy.
func (r Result) Failures() []string { return r.texts(Failed) }

// Warnings are what should be looked at, though the node is healthy.
func (r Result) Warnings() []string { return r.texts(Warned) }

// Engine is what is asked of the Docker Engine.
type Engine interface {
	Ping(ctx context.Context) error
	Inspect(ctx context.Context, name string) (docker.Details, error)
	HasImage(ctx context.Context, ref string) (bool, error)
	// API and SetAPI carry the version of the Engine API from one run to the next:
	// asking for it each second would double the calls.
	API() string
	SetAPI(version string)
}

// Probe holds what a run looks at.
type Probe struct {
	Config *config.Config
	State  *state.Dir
	Engine Engine
	// Kstat is the folder in which the kernel shows its pools.
	Kstat string
	// Boot is the kernel's id of this boot: a role taken in an earlier one says
	// what the node was. Empty: not known, every role counts.
	Boot string
	Now  func() time.Time
}

// New returns the probe of this machine.
func New(cfg *config.Config, dir *state.Dir, now func() time.Time) *Probe {
	boot, err := state.BootID()
	if err != nil {
		boot = "" // a role counts as one of this boot then
	}
	return &Probe{
		Config: cfg, State: dir, Engine: docker.New(cfg.Services.Socket),
		Kstat: "/proc/spl/kstat/zfs", Boot: boot, Now: now,
	}
}

// named is a check before it has run.
type named struct {
	name string
	do   func(ctx context.Context) (Verdict, string)
}

// Run looks at everything at the same time. What has not answered when ctx or
// Limit ends has failed.
func (p *Probe) Run(ctx context.Context) Result {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	result := Result{Time: p.Now()}
	role, err := p.State.Role()
	if err != nil {
		// Without its role it is held to less, but that it is not known is a
		// failure of its own.
		result.Checks = append(result.Checks, Check{Name: "state", Verdict: Failed, Text: err.Error()})
	}
	result.Role, result.Mode = role.Role, p.mode(role)
	// Without it a node has its grace again, no more.
	if last, found, err := state.Lazy(p.Config.RunDir).Probe(); err == nil && found {
		result.Answered, result.Before = last.Answered, &last
		p.Engine.SetAPI(last.EngineAPI)
		if result.Mode == Serves { // later another container may have the address
			result.Inside = last.Inside
		}
	}
	var seen atomic.Pointer[docker.Details] // one that is late may write it later still
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

// noteEngine notes since when the engine has said nothing of the container, and
// what it says instead.
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

// mode says what a node with this role is held to.
func (p *Probe) mode(role state.RoleFile) Mode {
	if role.Boot != "" && p.Boot != "" && role.Boot != p.Boot {
		return CouldServe
	}
	switch {
	case role.Role == state.RoleActive:
		return Serves
	case role.HandsOver() && p.getsOn(role):
		// The address moves when all is sent, and not because an engine that
		// stops everything is slow to answer.
		return Promotes
	case role.Role == state.RolePromoting && p.getsOn(role):
		return Promotes
	case role.Role == state.RolePromoting:
		return Serves
	}
	// One that is demoting does not serve and need not; what it could is what
	// decides whether it may stay a standby.
	return CouldServe
}

// getsOn reports whether a transition has got on within the grace.
func (p *Probe) getsOn(role state.RoleFile) bool {
	progress := role.Since
	if role.Transition != nil {
		progress = role.Transition.Updated
	}
	return p.Now().Sub(progress) <= p.Config.Probe.Grace
}

// checks returns what is to be looked at. An active node's container is kept in
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
			return Failed, answer.String() + "; this node is cut off"
		})
	}
	return list
}

// runAll runs the checks at the same time and keeps their order.
func runAll(ctx context.Context, list []named) []Check {
	type done struct {
		i     int
		check Check
	}
	began := time.Now()
	results := make(chan done, len(list)) // nobody waits for the late ones
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
			// Those that have just ended still count.
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

// forgiveEngine makes a warning of an engine that does not answer, or refuses the
// call, while the service itself answers: containers continue without their engine
// (live-restore), and moving the address would only do harm. It returns whether the
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

// butTraefik follows what is said of the engine while Traefik answers.
func butTraefik(text string) string {
	if text == engineSilent {
		return ", but Traefik does"
	}
	return "; Traefik answers"
}
