package failover

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/state"
)

// BudgetError is a step that exceeded its time.
type BudgetError struct {
	Step, Object string
	Budget       time.Duration
	Err          error
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("%s %s: not finished within %s: %v", e.Step, e.Object, report.Duration(e.Budget), e.Err)
}

func (e *BudgetError) Unwrap() error { return e.Err }

// skipped is why a step was left out.
type skipped string

func (s skipped) Error() string { return string(s) }

// flushEvery is how often the steps of a transition in progress are written down. Each
// write is synced, which on a slow disk would cost more than many of the steps.
const flushEvery = 100 * time.Millisecond

// transition records the way from one role to another, step by step.
type transition struct {
	node *Node
	way  rules.Transition
	now  func() time.Time

	mu    sync.Mutex
	role  state.RoleFile
	dirty bool

	stop chan struct{}
	done sync.WaitGroup
}

// begin records that the node is on its way to another role.
func (n *Node) begin(role state.RoleFile, way rules.Transition, request state.Request) (*transition, error) {
	now, from, reason := n.Now(), role.In(n.Boot), reasonOf(request)
	if from != way.To || !rules.PromotionFailed(role) {
		// Else keepalived reacts to the lost eligibility, and the reason for that is
		// more useful.
		role.Reason = reason
	}
	role.Role, role.Boot, role.Since = way.Via, n.Boot, now
	role.Transition = &state.Transition{From: from, To: way.To, Reason: reason, RequestSeq: request.Seq, Started: now, Updated: now}
	if err := n.State.SetRole(role); err != nil {
		return nil, err
	}
	n.Log.Info().Str("from", from.String()).Str("to", way.To.String()).Str("reason", reason).Msg(string(way.Via))
	t := &transition{node: n, way: way, now: n.Now, role: role, stop: make(chan struct{})}
	t.done.Go(t.flush)
	return t, nil
}

// reasonOf returns in words why a request was made.
func reasonOf(i state.Request) string {
	text := fmt.Sprintf("%s by %s", i.Requested, i.Source)
	if i.Reason != "" {
		text += ": " + i.Reason
	}
	return text
}

// flush writes down changes now and then, until the transition ends.
func (t *transition) flush() {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-ticker.C:
			t.mu.Lock()
			if t.dirty {
				// If the folder can't be written, the write at the end reports it.
				t.dirty = t.node.State.SetRole(t.role) != nil
			}
			t.mu.Unlock()
		}
	}
}

// set changes the recorded role, and writes it down at once.
func (t *transition) set(change func(*state.RoleFile)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.role)
	t.role.Transition.Updated = t.now()
	t.dirty = false
	return t.node.State.SetRole(t.role)
}

// step does one step within its budget and records it. Steps may run in parallel.
func (t *transition) step(ctx context.Context, name, object string, budget time.Duration, do func(context.Context) error) error {
	started := t.now()
	t.mu.Lock()
	steps := &t.role.Transition.Steps
	*steps = append(*steps, state.Step{Name: name, Object: object, Started: started})
	index := len(*steps) - 1
	t.role.Transition.Updated, t.dirty = started, true
	t.mu.Unlock()

	within, cancel := context.WithTimeout(ctx, budget)
	err := do(within)
	if err != nil && ctx.Err() == nil && errors.Is(within.Err(), context.DeadlineExceeded) {
		err = &BudgetError{name, object, budget, err}
	}
	cancel()

	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	step := &t.role.Transition.Steps[index]
	step.Seconds, step.Outcome = now.Sub(started).Seconds(), outcome(ctx, err)
	if err != nil {
		step.Error = err.Error()
	}
	t.role.Transition.Updated, t.dirty = now, true
	event := t.node.Log.Debug()
	if step.Outcome == state.OutcomeFailed {
		event = t.node.Log.Warn()
	}
	event.Str("object", object).Str("error", step.Error).Float64("seconds", step.Seconds).Msgf("%s: %s", name, step.Outcome)
	return err
}

func outcome(ctx context.Context, err error) state.Outcome {
	if err == nil {
		return state.OutcomeDone
	}
	if _, ok := errors.AsType[skipped](err); ok {
		return state.OutcomeSkipped
	}
	if ctx.Err() != nil {
		return state.OutcomeInterrupted
	}
	return state.OutcomeFailed
}

// end records how the transition ended: the role of the node, which answers the
// request. An interrupted transition leaves the node on its way. With Done, a cause
// means that some steps failed.
func (t *transition) end(result rules.Result, cause error) error {
	close(t.stop)
	t.done.Wait()
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	tr := t.role.Transition
	tr.Ended, tr.Updated, tr.Outcome = now, now, transitionOutcome(result, cause)
	if cause != nil {
		tr.Error = cause.Error()
	}
	if result != rules.Interrupted {
		t.role.Role, t.role.Since, t.role.RequestSeq = t.way.Ends(result), now, tr.RequestSeq
		if cause != nil {
			t.role.Reason = cause.Error()
		}
	}
	t.node.Log.Info().Str("role", t.role.Role.String()).Uint64("term", t.role.Term).Str("outcome", string(tr.Outcome)).
		Float64("seconds", now.Sub(tr.Started).Seconds()).Str("error", tr.Error).Msg("transition ended")
	if err := t.node.State.SetRole(t.role); err != nil {
		return err
	}
	unreadable, err := t.node.State.AddHistory(state.Past{Term: t.role.Term, Transition: *tr})
	if unreadable != nil {
		t.node.Log.Warn().Err(unreadable).Msg("history of transitions unreadable: starting a new one")
	}
	return err
}

// interrupted ends a transition whose context has ended.
func (t *transition) interrupted(ctx context.Context) error {
	cause := context.Cause(ctx)
	return errors.Join(cause, t.end(rules.Interrupted, cause))
}

func transitionOutcome(result rules.Result, cause error) state.Outcome {
	switch {
	case result == rules.Interrupted:
		return state.OutcomeInterrupted
	case result != rules.Done:
		return state.OutcomeFailed
	case cause != nil:
		return state.OutcomePartial
	}
	return state.OutcomeDone
}

// current returns the role as recorded now.
func (t *transition) current() state.RoleFile {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.role
}
