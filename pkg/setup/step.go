package setup

import (
	"context"
	"errors"
	"fmt"

	"al.essio.dev/pkg/shellescape"

	"github.com/understudy-ha/understudy/pkg/exit"
)

// step is one thing that a set-up does. It can be repeated: look reports whether it
// is done.
type step struct {
	name string // such as "key on primary"
	look func(context.Context) (found, error)
	do   func(context.Context) error
}

// found is what a look at one step tells.
type found struct {
	done bool
	// looks says that doing it changes nothing: it is a check.
	looks bool
	// says is what is there, or what would be done, in some words.
	says string
	// detail are the files and commands of it.
	detail string
	// differs shows what is there and would be replaced.
	differs string
	// ask is a question to be answered with yes before it is done.
	ask string
	// byHand says what a person has to do before anything can go on.
	byHand []string
}

// DiffersError is something that is there, is not what is wanted, and was left.
type DiffersError struct {
	Step string
	// Declined says that a person said so.
	Declined bool
}

func (e *DiffersError) Error() string {
	if e.Declined {
		return e.Step + ": left as it is"
	}
	return e.Step + ": what is there differs from what is wanted, and was left as it is"
}

// ExitCode is 76: refused.
func (e *DiffersError) ExitCode() int { return exit.Refused }

// Hint says what to do next.
func (e *DiffersError) Hint() string {
	return "the difference stands above; to have it replaced, with a copy kept beside it (.orig), run the same with --replace"
}

// ByHandError says that a person's turn is next.
type ByHandError struct{ Step string }

func (e *ByHandError) Error() string { return e.Step + ": this has to be done by hand, as told above" }

// ExitCode is 3: done in part.
func (e *ByHandError) ExitCode() int { return exit.Partial }

// Hint says what to do next.
func (e *ByHandError) Hint() string {
	return "then run failover-notify setup again: it goes on from there"
}

// DeclinedError is a step that a person did not want.
type DeclinedError struct{ Step string }

func (e *DeclinedError) Error() string { return e.Step + ": not done" }

// ExitCode is 3: done in part.
func (e *DeclinedError) ExitCode() int { return exit.Partial }

// Hint says what to do next.
func (e *DeclinedError) Hint() string {
	return "what was done before stays; run it again when you are ready, and it goes on from there"
}

// steps does one step after the other, until one can't be done.
func (s *Setup) steps(ctx context.Context, list []step) error {
	for i, one := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.step(ctx, fmt.Sprintf("%2d/%d", i+1, len(list)), one); err != nil {
			return fmt.Errorf("step %d of %d: %w", i+1, len(list), err)
		}
	}
	return nil
}

func (s *Setup) step(ctx context.Context, number string, one step) error {
	f, err := one.look(ctx)
	if err != nil {
		return err
	}
	verb := "doing"
	switch {
	case f.done:
		verb = "is so"
	case f.byHand != nil:
		verb = "by hand"
	case s.DryRun && f.looks:
		verb = "would check"
	case f.looks:
		verb = "checking"
	case s.DryRun && f.differs != "":
		verb = "would replace"
	case s.DryRun:
		verb = "would do"
	case f.differs != "":
		verb = "differs"
	}
	s.Talk.paragraph("", fmt.Sprintf("%s %s: %s: %s", number, verb, one.name, f.says))
	if s.Talk.Verbose && !f.done {
		s.Talk.detail(f.detail)
	}
	if f.differs != "" && !f.done {
		s.Talk.detail(f.differs)
	}
	for _, line := range f.byHand {
		s.Talk.paragraph("          - ", line)
	}
	switch {
	case f.done || s.DryRun:
		return nil
	case f.byHand != nil:
		return &ByHandError{one.name}
	}
	if err := s.consent(one, f); err != nil {
		return err
	}
	return one.do(ctx)
}

// consent asks before something is replaced, or services are stopped.
func (s *Setup) consent(one step, f found) error {
	if f.differs != "" && !s.Replace {
		if s.Talk.In == nil {
			return &DiffersError{Step: one.name}
		}
		yes, err := s.Talk.Confirm("Replace it? A copy stays beside it (.orig).")
		if err != nil {
			return err
		}
		if !yes {
			return &DiffersError{one.name, true}
		}
	}
	if f.ask == "" || s.Yes {
		return nil
	}
	if s.Talk.In == nil {
		return errors.Join(&DeclinedError{one.name}, errors.New("nobody can be asked: give --yes"))
	}
	yes, err := s.Talk.Confirm(f.ask)
	if err != nil {
		return err
	}
	if !yes {
		return &DeclinedError{one.name}
	}
	return nil
}

// shown is a command as a person would type it.
func shown(argv []string) string { return shellescape.QuoteCommand(argv) + "\n" }
