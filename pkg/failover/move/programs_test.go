package move

import (
	"errors"
	"fmt"
	"testing"

	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/run"
)

func TestWhatOurProgramsSayIsPassedOn(t *testing.T) {
	fails := func(code int, stderr string) error {
		return fmt.Errorf("wrapped: %w", &run.Error{Argv: []string{"zfs-replicate", "run"}, ExitCode: code, Stderr: stderr, Cause: errors.New("exit status")})
	}
	err := said(fails(76, "time=x level=info\nzfs-replicate: error: on b: out of space\nhint: free space on that pool\n"))
	var told *remote.Error
	if !errors.As(err, &told) || told.Error() != "on b: out of space" || told.Hint() != "free space on that pool" || told.ExitCode() != 76 {
		t.Errorf("%#v", err)
	}
	if failed, ok := errors.AsType[*run.Error](err); !ok || failed.ExitCode != 76 {
		t.Errorf("the program's own failure is lost: %v", err)
	}
	if err = said(fails(3, "zfs-replicate: error: one\nhint: first\nzfs-replicate: error: two\n")); !errors.As(err, &told) || told.Text != "two" || told.Hint() != "" || told.ExitCode() != 1 {
		t.Errorf("%#v", err)
	}
	for _, err := range []error{fails(1, "killed"), errors.New("something else"), nil} {
		if got := said(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}
