package replicate

import (
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/state"
)

func TestMayRun(t *testing.T) {
	for _, c := range []struct {
		role state.RoleFile
		want string
	}{
		{state.RoleFile{Role: state.RoleActive, Term: 3, NewestTerm: 3}, ""},
		{state.RoleFile{Role: state.RoleActive, Term: 3, NewestTerm: 4}, "term 4 has been seen"},
		{state.RoleFile{Role: state.RoleStandby}, "a is standby, not active"},
		{state.RoleFile{Role: state.RolePromoting}, "not active"},
		{state.RoleFile{}, "no role yet"},
	} {
		err := mayRun(c.role, "a")
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || exit.Code(err) != 76) {
			t.Errorf("%+v: %v, want %q", c.role, err, c.want)
		}
	}
}
