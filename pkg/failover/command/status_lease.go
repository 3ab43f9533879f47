package command

import (
	"fmt"

	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/report"
)

// leaseText names the holder of the lease; "" if the configuration has no lease.
func leaseText(s *failover.Status) string {
	l := s.Lease
	if l == nil {
		return ""
	}
	text := "free"
	if l.Holder != "" {
		text = "held by " + l.Holder
	}
	if l.Holder == s.Node {
		text = "held here"
	}
	if l.Stopping {
		text += ", being released"
	}
	switch {
	case l.Error != "" && l.Left > 0:
		return fmt.Sprintf("%s left; %s", report.Seconds(l.Left), l.Error)
	case l.Error != "":
		return l.Error
	case l.Left > 0:
		text += fmt.Sprintf(", %s left", report.Seconds(l.Left))
	}
	return text
}
