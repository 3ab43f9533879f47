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

// toldFile is the sender's file about the conditions.
const toldFile = "told.json"

// Sort turns new notices and known conditions into messages, writes those into the
// outbox, and returns their number. The caller holds the lock.
func (s *Spool) Sort(now time.Time) (int, error) {
	if err := os.MkdirAll(s.path, 0o700); err != nil {
		return 0, &SpoolError{"make", s.path, err}
	}
	conditions, err := s.conditions()
	if err != nil {
		conditions = map[string]*condition{} // unreadable: each problem is announced again
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
	// In this order: after a kill in between, the same messages are created again, with
	// the same ids if at the same time.
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

// digest enters notices into the conditions, and returns the messages that are due.
func digest(conditions map[string]*condition, notices []Notice, now time.Time, cfg config.Notify) []*Message {
	var messages []*Message
	for _, n := range notices {
		if n.Key == "" {
			messages = append(messages, &Message{Kind: KindEvent, Notice: n})
			continue
		}
		c := conditions[n.Key]
		if c == nil {
			if !n.Level.bad() { // no problem, and there was none
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

// Told returns the levels of the problems that this node announced, by key. Other nodes
// ask for them, and do not announce those.
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

// Pending reports whether a sender may have something to do: new notices, queued
// messages, or conditions.
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
