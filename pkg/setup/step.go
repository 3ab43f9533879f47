package setup

import (
	"context"
	"errors"
	"fmt"

	"al.essio.dev/pkg/shellescape"

	"github.com/understudy-ha/understudy/pkg/exit"
)

// step is one step of a setup. It can be repeated: check reports whether it is done.
type step struct {
	name  string // such as "key on primary"
	check func(context.Context) (stepState, error)
	do    func(context.Context) error
}

// stepState is the state of a step before it runs.
type stepState struct {
	done bool
	// checkOnly reports that the step changes nothing.
	checkOnly bool
	// summary describes the present or the intended state in a few words.
	summary string
	// detail holds the files and commands of the step.
	detail string
	// differs shows the existing content that would be replaced.
	differs string
	// ask is a question that the operator must answer with yes first.
	ask string
	// manual holds what the operator must do before the setup can continue.
	manual []string
}

// DiffersError is existing content that differs from the required content, and was not
// changed.
type DiffersError struct {
	Step string
	// Declined reports that the operator did not agree to replace it.
	Declined bool
}

func (e *DiffersError) Error() string {
	if e.Declined {
		return e.Step + ": not replaced"
	}
	return e.Step + ": the existing content differs, and was not changed"
}

// ExitCode is 76: refused.
func (e *DiffersError) ExitCode() int { return exit.Refused }

// Hint says what to do next.
func (e *DiffersError) Hint() string {
	return "the difference is shown above; to replace the content and save a copy beside it (.orig), run setup with --replace"
}

// ManualError is a step that the operator must do.
type ManualError struct{ Step string }

func (e *ManualError) Error() string { return e.Step + ": do this by hand, as shown above" }

// ExitCode is 3: done in part.
func (e *ManualError) ExitCode() int { return exit.Partial }

// Hint says what to do next.
func (e *ManualError) Hint() string {
	return "then run failover-notify setup again: it continues from there"
}

// DeclinedError is a step that the operator declined.
type DeclinedError struct{ Step string }

func (e *DeclinedError) Error() string { return e.Step + ": not done" }

// ExitCode is 3: done in part.
func (e *DeclinedError) ExitCode() int { return exit.Partial }

// Hint says what to do next.
func (e *DeclinedError) Hint() string {
	return "finished steps remain; run setup again when you are ready, and it continues from there"
}

// steps runs the steps in order, until one fails.
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
	f, err := one.check(ctx)
	if err != nil {
		return err
	}
	verb := "doing"
	switch {
	case f.done:
		verb = "already done"
	case f.manual != nil:
		verb = "manual"
	case s.DryRun && f.checkOnly:
		verb = "would check"
	case f.checkOnly:
		verb = "checking"
	case s.DryRun && f.differs != "":
		verb = "would replace"
	case s.DryRun:
		verb = "would do"
	case f.differs != "":
		verb = "differs"
	}
	s.Dialog.paragraph("", fmt.Sprintf("%s %s: %s: %s", number, verb, one.name, f.summary))
	if s.Dialog.Verbose && !f.done {
		s.Dialog.detail(f.detail)
	}
	if f.differs != "" && !f.done {
		s.Dialog.detail(f.differs)
	}
	for _, line := range f.manual {
		s.Dialog.paragraph("          - ", line)
	}
	switch {
	case f.done || s.DryRun:
		return nil
	case f.manual != nil:
		return &ManualError{one.name}
	}
	if err := s.consent(one, f); err != nil {
		return err
	}
	return one.do(ctx)
}

// consent asks the operator before content is replaced or services stop.
func (s *Setup) consent(one step, f stepState) error {
	if f.differs != "" && !s.Replace {
		if s.Dialog.In == nil {
			return &DiffersError{Step: one.name}
		}
		yes, err := s.Dialog.Confirm("Replace it? A copy is saved beside it (.orig).")
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
	if s.Dialog.In == nil {
		return errors.Join(&DeclinedError{one.name}, errors.New("no terminal to ask on: give --yes"))
	}
	yes, err := s.Dialog.Confirm(f.ask)
	if err != nil {
		return err
	}
	if !yes {
		return &DeclinedError{one.name}
	}
	return nil
}

// quoted returns a command as typed in a shell.
func quoted(argv []string) string { return shellescape.QuoteCommand(argv) + "\n" }
