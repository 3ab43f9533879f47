package exit_test

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"github.com/understudy-ha/understudy/pkg/exit"
)

type refusal struct{ hint string }

func (refusal) Error() string  { return "refused" }
func (refusal) ExitCode() int  { return exit.Refused }
func (r refusal) Hint() string { return r.hint }

func TestCode(t *testing.T) {
	foreign := exec.Command("false").Run()
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, exit.Done},
		{errors.New("x"), exit.Failed},
		{fmt.Errorf("run: %w", refusal{}), exit.Refused},
		{errors.Join(errors.New("x"), refusal{}), exit.Refused},
		{fmt.Errorf("started: %w", foreign), exit.Failed},
		{errors.Join(foreign, refusal{}), exit.Refused},
	} {
		if got := exit.Code(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
		if got := exit.Coded(c.err); got != (c.want == exit.Refused) {
			t.Errorf("%v: coded %v", c.err, got)
		}
	}
}

func TestHints(t *testing.T) {
	err := errors.Join(refusal{"a"}, fmt.Errorf("x: %w", errors.Join(refusal{"b"}, refusal{"a"}, refusal{})))
	if got := exit.Hints(err); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("hints %q", got)
	}
	if got := exit.Hint(fmt.Errorf("x: %w", refusal{"a"})); got != "a" {
		t.Errorf("hint %q", got)
	}
	if got := exit.Hint(errors.New("x")); got != "" {
		t.Errorf("hint of a plain error: %q", got)
	}
}
