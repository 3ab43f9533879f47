package notify

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/exit"
)

// Health is the state of the channels. It contains no secrets.
type Health struct {
	Channels int `json:"channels"`
	// Problem is the reason why no notification can be sent.
	Problem string `json:"problem,omitempty"`
	Hint    string `json:"hint,omitempty"`
	// Waiting is the number of messages that a channel has not accepted yet, Oldest the
	// time of the oldest.
	Waiting int       `json:"waiting"`
	Oldest  time.Time `json:"oldest,omitzero"`
	Failing []Failing `json:"failing,omitempty"`
}

// Failing is a channel that did not accept the last message or, with zero Times, a line
// of the file that is not a channel.
type Failing struct {
	Channel string    `json:"channel"` // the service, and the line in the file
	Error   string    `json:"error"`   // its last error
	Since   time.Time `json:"since,omitzero"`
	Times   int       `json:"times"` // failures in a row
	// LastSuccess is when it last accepted a message; zero for never.
	LastSuccess time.Time `json:"last_success,omitzero"`
	Waiting     int       `json:"waiting"` // messages that it has not accepted
}

// Health returns the state of the channels and of the queue, or nil without a file of
// channels. It changes nothing.
func (s *Spool) Health() *Health {
	if s == nil {
		return nil
	}
	h := &Health{}
	channels, bad, err := Channels(s.cfg.URLsFile)
	switch {
	case err != nil:
		h.Problem, h.Hint = err.Error(), exit.Hint(err)
	case len(channels) == 0:
		h.Problem, h.Hint = s.cfg.URLsFile+" contains no URL", "write one URL per line into it"
	}
	h.Channels = len(channels) + len(bad)
	for _, line := range bad {
		h.Failing = append(h.Failing, Failing{Channel: line.Channel(), Error: line.Text})
	}
	waiting := s.waiting()
	tries := s.tries()
	for _, c := range channels {
		f := Failing{Channel: c.Name}
		for _, m := range waiting {
			if !slices.Contains(m.Done, c.ID) {
				f.Waiting++
			}
		}
		if t := tries[c.ID]; t != nil && t.Failures > 0 {
			f.Error, f.Since, f.Times, f.LastSuccess = strings.TrimPrefix(t.Error, t.Name+": "), t.Since, t.Failures, t.OK
			h.Failing = append(h.Failing, f)
		}
	}
	if h.Waiting = len(waiting); h.Waiting > 0 {
		h.Oldest = waiting[0].Time
	}
	return h
}

// waiting returns the messages in the outbox, oldest first. It skips unreadable ones.
func (s *Spool) waiting() []Message {
	dir := filepath.Join(s.path, outFolder)
	files, err := names(dir)
	if err != nil {
		return nil
	}
	var messages []Message
	for _, name := range files {
		var m Message
		if load(filepath.Join(dir, name), &m) == nil && m.ID != "" {
			messages = append(messages, m)
		}
	}
	return messages
}
