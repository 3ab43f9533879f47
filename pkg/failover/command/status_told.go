package command

import (
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/report"
)

// sayTold is whether people hear of what happens.
func sayTold(s *failover.Status) string {
	h := s.Notifications
	switch {
	case h == nil:
		return ""
	case h.Problem != "":
		return "nobody: see below"
	case len(h.Failing) > 0:
		return fmt.Sprintf("%d of %s %s: see below", len(h.Failing), counted(h.Channels, "channel"), map[bool]string{true: "fails", false: "fail"}[len(h.Failing) == 1])
	case h.Waiting > 0:
		return fmt.Sprintf("%s waiting for %s", counted(h.Waiting, "message"), report.Duration(s.Time.Sub(h.Oldest)))
	}
	return "to " + counted(h.Channels, "channel")
}

// counted is a number with its noun, which takes an s for its plural.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// unheard is what keeps people from being told.
func unheard(s *failover.Status) []string {
	h := s.Notifications
	if h == nil {
		return nil
	}
	var texts []string
	if h.Problem != "" {
		texts = append(texts, "nobody is told of anything: "+h.Problem+detail(h.Hint))
	}
	for _, f := range h.Failing {
		if f.Times == 0 && h.Problem == "" {
			texts = append(texts, f.Channel+" of notify.urls_file is no channel: "+f.Error)
		}
		if f.Times == 0 {
			continue
		}
		text := fmt.Sprintf("%s takes no notifications since %s (%d in a row): %s", f.Channel, f.Since.Local().Format(time.DateTime), f.Times, f.Error)
		if f.Waiting > 0 {
			text += fmt.Sprintf("; %s wait%s for it", counted(f.Waiting, "message"), map[bool]string{true: "s"}[f.Waiting == 1])
		}
		texts = append(texts, text+"; failover-notify test-notification tries again")
	}
	return texts
}
