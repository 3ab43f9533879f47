package plan

import "github.com/understudy-ha/understudy/pkg/exit"

// Refusal is a run that the role, the term or the state of the data forbids. It
// changed nothing.
type Refusal struct {
	What   string
	Advice string
	// Expected: this node is a standby, or changing its role, so it has nothing to
	// do. A schedule that is the same on all nodes meets this each time, and during
	// each role change.
	Expected bool
}

func (r *Refusal) Error() string { return r.What }

// Hint says what to do next.
func (r *Refusal) Hint() string { return r.Advice }

// ExitCode is 76: refused.
func (r *Refusal) ExitCode() int { return exit.Refused }

// Usage is a call that names something that does not exist.
type Usage struct {
	What   string
	Advice string
}

func (u *Usage) Error() string { return u.What }

// Hint says what would be right.
func (u *Usage) Hint() string { return u.Advice }

// ExitCode is 64: usage.
func (u *Usage) ExitCode() int { return exit.Usage }
