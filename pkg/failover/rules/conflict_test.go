package rules

import (
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

func TestTwoActiveNodes(t *testing.T) {
	now := time.Now()
	self := state.RoleFile{Term: 3, Since: now}
	for _, c := range []struct {
		name string
		peer PeerState
		want bool
	}{
		{"the peer's term is newer", PeerState{Node: "b", Term: 4}, true},
		{"the peer's term is older", PeerState{Node: "b", Term: 2}, false},
		{"the peer was active earlier", PeerState{Node: "b", Term: 3, Since: now.Add(-time.Second)}, true},
		{"the peer was active later", PeerState{Node: "b", Term: 3, Since: now.Add(time.Second)}, false},
		{"both at once", PeerState{Node: "b", Term: 3, Since: now}, false},
	} {
		if got := StepsDown(self, "a", c.peer); got != c.want {
			t.Errorf("%s: gives way %v", c.name, got)
		}
		other := state.RoleFile{Term: c.peer.Term, Since: c.peer.Since}
		if got := StepsDown(other, "b", PeerState{Node: "a", Term: self.Term, Since: self.Since}); got == c.want {
			t.Errorf("%s: both or neither give way", c.name)
		}
	}
}
