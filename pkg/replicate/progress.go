package replicate

import (
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
)

// Progress is told how a run goes on. Its methods are called from several
// goroutines at once.
type Progress interface {
	// Planned says what a standby is going to get: bytes is an estimate, 0
	// where nothing is known.
	Planned(node string, todo plan.Plan, bytes int64)
	// Sent counts bytes of a stream.
	Sent(node, source string, bytes int64)
	// Done tells that an item is through, or stuck, or failed.
	Done(node string, result *ItemResult)
	// WantsEstimates says whether somebody looks at the totals, which cost a
	// process a stream.
	WantsEstimates() bool
}
