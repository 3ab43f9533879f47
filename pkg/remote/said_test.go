package remote

import (
	"errors"
	"testing"

	"github.com/understudy-ha/understudy/pkg/run"
)

func TestWhatAnotherNodeSaysIsToldInItsWords(t *testing.T) {
	cause := &run.Error{Argv: []string{"ssh"}, ExitCode: 76, Stderr: "12:00 WRN something\n" +
		"failover-notify: error: switchover refused: a: held: drill\nhint: failover-notify status there names the way out\nhint: and more\n"}
	said, ok := errors.AsType[*Error](SSH{Host: "b"}.Explain("failover-notify", cause))
	if !ok || said.Error() != "switchover refused: a: held: drill" || said.ExitCode() != 76 ||
		said.Hint() != "failover-notify status there names the way out; and more" || !errors.Is(said, cause) {
		t.Errorf("%+v", said)
	}
	how := SSH{Host: "b"}
	for _, err := range []error{
		errors.New("x"),
		&run.Error{Argv: []string{"ssh"}, ExitCode: 1, Stderr: "something else\n"},
		&run.Error{Argv: []string{"ssh"}, ExitCode: -1, Stderr: "failover-notify: error: cut off"},
	} {
		if got := how.Explain("failover-notify", err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}
