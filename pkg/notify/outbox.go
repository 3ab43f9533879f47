package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Kind is the reason for a message.
type Kind string

// The kinds.
const (
	KindEvent    Kind = "event"    // a single event
	KindProblem  Kind = "problem"  // a problem has begun
	KindWorse    Kind = "worse"    // a problem has become worse
	KindReminder Kind = "reminder" // a problem lasts
	KindFlapping Kind = "flapping" // a problem comes and goes
	KindRecovery Kind = "recovery" // a problem is over
	KindTest     Kind = "test"     // the operator tests the channels
)

// Message is one notification.
type Message struct {
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	Notice
	// Since is the beginning or the end of the problem.
	Since time.Time `json:"since,omitzero"`
	// Changes is the number of changes within the last hour.
	Changes int `json:"changes,omitempty"`
	// Dropped is the number of older messages that were dropped.
	Dropped int `json:"dropped,omitempty"`
	// Done holds the ids of the channels that have accepted it.
	Done []string `json:"done,omitempty"`
	// Late reports that it is sent long after its time.
	Late bool `json:"-"`
}

// Limits of the outbox.
const (
	maxMessages = 100
	keepFor     = 3 * 24 * time.Hour
	// lateAfter is the age from which a message counts as late.
	lateAfter = 5 * time.Minute
)

// ChannelID identifies a channel without revealing its secret.
func ChannelID(url string) string {
	sum := sha256.Sum256([]byte(url))
	return hex.EncodeToString(sum[:6])
}

// post writes messages into the outbox. Their ids derive from content and time, so that
// a repetition after a crash creates no duplicates.
func (s *Spool) post(messages []*Message) error {
	dir := filepath.Join(s.path, outFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &SpoolError{"make", dir, err}
	}
	for _, m := range messages {
		sum := sha256.Sum256([]byte(string(m.Kind) + m.Key + m.Title + m.Node))
		m.ID = fmt.Sprintf("%020d-%s", m.Time.UnixNano(), hex.EncodeToString(sum[:4]))
		if err := save(s.message(m.ID), m); err != nil {
			return err
		}
	}
	return s.bound()
}

func (s *Spool) message(id string) string { return filepath.Join(s.path, outFolder, id+".json") }

// bound drops the oldest messages beyond maxMessages, and counts them in the oldest
// remaining one.
func (s *Spool) bound() error {
	files, err := names(filepath.Join(s.path, outFolder))
	if err != nil || len(files) <= maxMessages {
		return err
	}
	dropped := 0
	over := len(files) - maxMessages
	for _, name := range files[:over] {
		path := filepath.Join(s.path, outFolder, name)
		var m Message
		if load(path, &m) == nil {
			dropped += m.Dropped
		}
		dropped++
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &SpoolError{"remove", path, err}
		}
	}
	path := filepath.Join(s.path, outFolder, files[over])
	var m Message
	if err := load(path, &m); err != nil {
		return err
	}
	m.Dropped += dropped
	return save(path, m)
}

// Outbox returns the messages that a channel has not accepted yet, oldest first. It
// removes messages that are too old.
func (s *Spool) Outbox(now time.Time) ([]*Message, error) {
	dir := filepath.Join(s.path, outFolder)
	files, err := names(dir)
	if err != nil {
		return nil, err
	}
	var messages []*Message
	for _, name := range files {
		m := &Message{}
		if err := load(filepath.Join(dir, name), m); err != nil || now.Sub(m.Time) > keepFor {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return nil, &SpoolError{"remove", filepath.Join(dir, name), err}
			}
			continue
		}
		m.Late = now.Sub(m.Time) > lateAfter
		messages = append(messages, m)
	}
	return messages, nil
}

// Sent records that a channel has accepted a message. It removes the message once all
// channels have.
func (s *Spool) Sent(m *Message, channel string, all []string) error {
	if !slices.Contains(m.Done, channel) {
		m.Done = append(m.Done, channel)
	}
	for _, c := range all {
		if !slices.Contains(m.Done, c) {
			return save(s.message(m.ID), m)
		}
	}
	if err := os.Remove(s.message(m.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &SpoolError{"remove", s.message(m.ID), err}
	}
	return nil
}

// try is the result of the last tries of a channel.
type try struct {
	Name     string    `json:"name"`
	OK       time.Time `json:"ok,omitzero"`
	Error    string    `json:"error,omitempty"`
	Failures int       `json:"failures,omitempty"` // in a row
	Since    time.Time `json:"since,omitzero"`     // first of these failures
	Next     time.Time `json:"next,omitzero"`      // next try
}

// triesFile is the sender's file about the channels.
const triesFile = "channels.json"

// maxPause is the longest pause after failures of a channel.
const maxPause = time.Hour

func (s *Spool) tries() map[string]*try {
	tries := map[string]*try{}
	if load(filepath.Join(s.path, triesFile), &tries) != nil {
		return map[string]*try{} // unreadable: all channels are due
	}
	return tries
}

// Due reports whether a channel is due: after failures it is retried after one minute,
// then two, then four.
func (s *Spool) Due(channel string, now time.Time) bool {
	t := s.tries()[channel]
	return t == nil || !now.Before(t.Next)
}

// Tried records the result of a try; failure is "" if the channel accepted a message.
func (s *Spool) Tried(channel Channel, now time.Time, failure string) error {
	tries := s.tries()
	t := tries[channel.ID]
	if t == nil {
		t = &try{}
		tries[channel.ID] = t
	}
	t.Name, t.Error = channel.Name, failure
	if failure == "" {
		t.OK, t.Failures, t.Since, t.Next = now, 0, time.Time{}, time.Time{}
	} else {
		if t.Failures++; t.Since.IsZero() {
			t.Since = now
		}
		t.Next = now.Add(min(time.Minute<<min(t.Failures-1, 10), maxPause))
	}
	return save(filepath.Join(s.path, triesFile), tries)
}

// AnyDue reports whether one of the messages waits for a channel that is due.
func (s *Spool) AnyDue(messages []*Message, now time.Time) (bool, error) {
	channels, _, err := Channels(s.cfg.URLsFile)
	if err != nil {
		return false, err
	}
	for _, c := range channels {
		for _, m := range messages {
			if !slices.Contains(m.Done, c.ID) && s.Due(c.ID, now) {
				return true, nil
			}
		}
	}
	return false, nil
}
