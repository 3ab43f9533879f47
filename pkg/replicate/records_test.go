package replicate

import (
	"testing"

	"github.com/understudy-ha/understudy/pkg/state"
)

// A standby without a record may hold nothing but the snapshot of a role change.
func TestProtectedNamesStandbysWithoutRecord(t *testing.T) {
	var sent state.Sent
	sentTo(&sent, "b").Datasets["tank/a"] = &state.SentDataset{GUID: 7}
	if got := protected(&sent, []string{"b"})["tank/a"]; got[0] || !got[7] {
		t.Errorf("one standby: %v", got)
	}
	if got := protected(&sent, []string{"b", "c"})["tank/a"]; !got[0] || !got[7] {
		t.Errorf("c has no record: %v", got)
	}
}
