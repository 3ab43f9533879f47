package failover

import (
	"errors"
	"strings"

	"github.com/understudy-ha/understudy/pkg/run"
)

// RemoteError is why failover-notify has failed on another node, in its words.
type RemoteError struct {
	Text   string
	Advice string // what to do next
	Code   int
	Cause  error
}

func (e *RemoteError) Error() string { return e.Text }

func (e *RemoteError) Unwrap() error { return e.Cause }

// ExitCode is that of the other node's failover-notify.
func (e *RemoteError) ExitCode() int { return e.Code }

// Hint says what to do next.
func (e *RemoteError) Hint() string { return e.Advice }

// explainRemote explains why command, which is failover-notify on another node, has
// failed: by what it has printed as its last words there, else by what ssh says.
func explainRemote(how run.SSH, command string, err error) error {
	failed, ok := errors.AsType[*run.Error](err)
	if !ok {
		return err
	}
	// Its own words may repeat those of another ssh.
	if said := lastWords(failed); said != nil {
		return said
	}
	if explained := how.Explain(failed.Stderr, command, err); explained != nil {
		return explained
	}
	return err
}

// lastWords are the error and the hints with which failover-notify has ended.
func lastWords(failed *run.Error) *RemoteError {
	if failed.ExitCode <= 0 {
		return nil
	}
	said := &RemoteError{Code: failed.ExitCode, Cause: failed}
	for line := range strings.Lines(failed.Stderr) {
		line = strings.TrimSpace(line)
		if text, found := strings.CutPrefix(line, "failover-notify: error: "); found {
			said.Text, said.Advice = text, ""
		} else if advice, found := strings.CutPrefix(line, "hint: "); found && said.Text != "" {
			said.Advice = strings.TrimPrefix(said.Advice+"; "+advice, "; ")
		}
	}
	if said.Text == "" {
		return nil
	}
	return said
}
