package command

import (
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/report"
)

// messagesText describes the delivery of notifications.
func messagesText(s *failover.Status) string {
	h := s.Notifications
	switch {
	case h == nil:
		return ""
	case h.Problem != "":
		return "not delivered: see below"
	case len(h.Failing) > 0:
		return fmt.Sprintf("%d of %s failing: see below", len(h.Failing), counted(h.Channels, "channel"))
	case h.Waiting > 0:
		return fmt.Sprintf("%s waiting for %s", counted(h.Waiting, "message"), report.Duration(s.Time.Sub(h.Oldest)))
	}
	return "to " + counted(h.Channels, "channel")
}

// counted returns a number with its noun, whose plural ends in s.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// notificationProblems returns the reasons why notifications are not delivered.
func notificationProblems(s *failover.Status) []string {
	h := s.Notifications
	if h == nil {
		return nil
	}
	var texts []string
	if h.Problem != "" {
		texts = append(texts, "no notification is delivered: "+h.Problem+detail(h.Hint))
	}
	for _, f := range h.Failing {
		if f.Times == 0 && h.Problem == "" {
			texts = append(texts, f.Channel+" of notify.urls_file is not a channel: "+f.Error)
		}
		if f.Times == 0 {
			continue
		}
		text := fmt.Sprintf("%s accepts no notifications since %s (%s in a row): %s", f.Channel, f.Since.Local().Format(time.DateTime), counted(f.Times, "failure"), f.Error)
		if f.Waiting > 0 {
			text += fmt.Sprintf("; %s queued", counted(f.Waiting, "message"))
		}
		texts = append(texts, text+"; to try again: failover-notify test-notification")
	}
	return texts
}
