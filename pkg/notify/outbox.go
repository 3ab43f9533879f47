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

// Kind is why the operator is notified.
type Kind string

// The kinds.
const (
	KindEvent    Kind = "event"    // it happened
	KindProblem  Kind = "problem"  // it has begun
	KindWorse    Kind = "worse"    // it has become worse
	KindReminder Kind = "reminder" // it still is so
	KindFlapping Kind = "flapping" // it comes and goes
	KindRecovery Kind = "recovery" // the condition is over
	KindTest     Kind = "test"     // somebody tries the channels
)

// Message is one notification.
type Message struct {
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	Notice
	// Since is when the problem began, or ended.
	Since time.Time `json:"since,omitzero"`
	// Changes is how often it came and went within the last hour.
	Changes int `json:"changes,omitempty"`
	// Dropped is how many older messages were dropped before this message.
	Dropped int `json:"dropped,omitempty"`
	// Done are the channels that have it, by id.
	Done []string `json:"done,omitempty"`
	// Late is set when it is sent long after its time.
	Late bool `json:"-"`
}

// What the outbox holds at most, and for how long.
const (
	maxMessages = 100
	keepFor     = 3 * 24 * time.Hour
	// lateAfter is how old a message is that says so.
	lateAfter = 5 * time.Minute
)

// ChannelID names a channel without saying its secret.
func ChannelID(url string) string {
	sum := sha256.Sum256([]byte(url))
	return hex.EncodeToString(sum[:6])
}

// post puts messages into the outbox. Their ids follow from their content and
// time, so that doing it again after a crash makes no second one.
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

// bound drops the oldest messages beyond what the outbox holds, and counts
// them in the oldest that stays.
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

// Outbox returns the messages that some channel has not got, oldest first. Those
// that are too old go.
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

// Sent notes that a channel has a message. One that all of them have goes.
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

// try is how a channel did last.
type try struct {
	Name     string    `json:"name"`
	OK       time.Time `json:"ok,omitzero"`
	Error    string    `json:"error,omitempty"`
	Failures int       `json:"failures,omitempty"` // in a row
	Since    time.Time `json:"since,omitzero"`     // of the first of these
	Next     time.Time `json:"next,omitzero"`      // when to try again
}

// triesFile is what the sender remembers of channels.
const triesFile = "channels.json"

// maxPause is how long a channel that fails is left alone at most.
const maxPause = time.Hour

func (s *Spool) tries() map[string]*try {
	tries := map[string]*try{}
	if load(filepath.Join(s.path, triesFile), &tries) != nil {
		return map[string]*try{} // started again: they are tried
	}
	return tries
}

// Due reports whether a channel is to be tried now: one that has failed is left
// alone for a minute, then two, then four.
func (s *Spool) Due(channel string, now time.Time) bool {
	t := s.tries()[channel]
	return t == nil || !now.Before(t.Next)
}

// Tried notes how a channel did; failure is empty when it took a message.
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

// AnyDue reports whether one of the messages waits for a channel that is to be
// tried now.
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
