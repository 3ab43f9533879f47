package notify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
)

// LockName is the state lock that a sender holds.
const LockName = "notify"

// toldFile is what the sender remembers of conditions.
const toldFile = "told.json"

// Sort decides which of the new notices, and of the known conditions, become
// messages now, and puts those into the outbox. The caller holds the lock. It
// returns how many messages there were.
func (s *Spool) Sort(now time.Time) (int, error) {
	if err := os.MkdirAll(s.path, 0o700); err != nil {
		return 0, &SpoolError{"make", s.path, err}
	}
	conditions, err := s.conditions()
	if err != nil {
		conditions = map[string]*condition{} // started again: each is reported once more
	}
	before, err := json.Marshal(conditions)
	if err != nil {
		return 0, fmt.Errorf("encode %s: %w", toldFile, err)
	}
	notices, files, err := s.take()
	if err != nil {
		return 0, err
	}
	messages := digest(conditions, notices, now, s.cfg)
	// In this order: killed in between, the same is found and told again, and
	// has the same id if it was told in the same moment.
	if err := s.post(messages); err != nil {
		return 0, err
	}
	if after, err := json.Marshal(conditions); err != nil || !bytes.Equal(before, after) {
		if err := save(filepath.Join(s.path, toldFile), conditions); err != nil {
			return 0, err
		}
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, &SpoolError{"remove", file, err}
		}
	}
	return len(messages), nil
}

// digest takes notices into the conditions, and says what is to be told.
func digest(conditions map[string]*condition, notices []Notice, now time.Time, cfg config.Notify) []*Message {
	var messages []*Message
	for _, n := range notices {
		if n.Key == "" {
			messages = append(messages, &Message{Kind: KindEvent, Notice: n})
			continue
		}
		c := conditions[n.Key]
		if c == nil {
			if !n.Level.bad() { // nothing is wrong, nor was it
				continue
			}
			c = &condition{}
			conditions[n.Key] = c
		}
		c.note(n)
	}
	for key, c := range conditions {
		if c.forget(now, cfg.Repeat) {
			delete(conditions, key)
			continue
		}
		if m := c.tick(now, cfg.Repeat); m != nil {
			messages = append(messages, m)
		}
	}
	return messages
}

func (s *Spool) conditions() (map[string]*condition, error) {
	conditions := map[string]*condition{}
	return conditions, load(filepath.Join(s.path, toldFile), &conditions)
}

// Told are the problems that people were told of by this node, by key, with
// their levels: other nodes ask, to keep silent themselves.
func (s *Spool) Told() map[string]string {
	if s == nil {
		return nil
	}
	conditions, err := s.conditions()
	if err != nil {
		return nil
	}
	told := map[string]string{}
	for key, c := range conditions {
		if c.Told.bad() && !c.Silent {
			told[key] = string(c.Told)
		}
	}
	return told
}

// Pending reports whether a sender has something to do now: new notices, messages
// that have not gone out, or conditions whose time may have come.
func (s *Spool) Pending() bool {
	if s == nil {
		return false
	}
	for _, dir := range []string{newFolder, curFolder, outFolder} {
		if found, err := names(filepath.Join(s.path, dir)); err != nil || len(found) > 0 {
			return true
		}
	}
	conditions, err := s.conditions()
	return err != nil || len(conditions) > 0
}
