package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/state"
)

// NodeState is a node's record of itself.
type NodeState struct {
	Role        state.RoleFile
	Request     state.Request
	Eligibility state.Eligibility
	// Shown reports whether keepalived is told that the node may hold the
	// virtual IP.
	Shown bool
	// Boot is the id of the current boot. Records of another boot describe the
	// past.
	Boot string
}

// Current reports whether the role was taken in this boot.
func (s NodeState) Current() bool { return s.Role.Boot == s.Boot }

func (s NodeState) String() string {
	var reasons []string
	for _, r := range s.Eligibility.Reasons {
		reasons = append(reasons, r.Kind+": "+r.Text)
	}
	return fmt.Sprintf("role %s (%s; of this boot: %v), term %d, request %d %s by %s, shown eligible %v %q",
		s.Role.Role, s.Role.Reason, s.Current(), s.Role.Term, s.Request.Seq, s.Request.Requested, s.Request.Source, s.Shown, reasons)
}

// ReadState reads a node's record of itself, each file at one moment.
func ReadState(ctx context.Context, n lab.Node) (NodeState, error) {
	var s NodeState
	// No program is started: each one costs an emulated processor a long time.
	text, err := Shell(ctx, n, `exec 2>/dev/null; set +e
		for f in /var/lib/understudy/{role,intent,eligibility}.json; do text={}; [ -r "$f" ] && text=$(<"$f"); echo "${text//$'\n'/ }"; done
		text=0; [ -r /run/understudy/eligible ] && text=$(</run/understudy/eligible)
		echo "$text"; echo "$(</proc/sys/kernel/random/boot_id)"`)
	if err != nil {
		return s, fmt.Errorf("read the state of %s: %w", n.Name(), err)
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 5 {
		return s, fmt.Errorf("read the state of %s: %q", n.Name(), text)
	}
	for i, into := range []any{&s.Role, &s.Request, &s.Eligibility} {
		if err := json.Unmarshal([]byte(lines[i]), into); err != nil {
			return s, fmt.Errorf("read the state of %s: %w", n.Name(), err)
		}
	}
	s.Shown, s.Boot = lines[3] == "1", lines[4]
	return s, nil
}
