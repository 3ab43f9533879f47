package replicate

import (
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
)

// Progress is told how far a run is. Several goroutines call its methods at once.
type Progress interface {
	// Planned gets the plan of a standby. bytes is an estimate, 0 if unknown.
	Planned(node string, todo plan.Plan, bytes int64)
	// Sent counts bytes of a stream.
	Sent(node, source string, bytes int64)
	// Done gets an item that is sent, stuck or failed.
	Done(node string, result *ItemResult)
	// WantsEstimates reports whether the totals are shown, which cost a process for
	// each stream.
	WantsEstimates() bool
}
