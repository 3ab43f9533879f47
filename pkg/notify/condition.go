package notify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	// A condition with flapLimit changes within flapWindow is flapping: the operator
	// is notified of that instead of each change.
	flapWindow = time.Hour
	flapLimit  = 6
)

// condition is the known state of one key, and what the operator was told.
type condition struct {
	Reports map[string]*reported `json:"reports"` // by reporter
	// Told is the worst level announced since the last OK, and ToldAt the time of the
	// last message. Silent reports that another node announced it.
	Told   Level     `json:"told,omitempty"`
	ToldAt time.Time `json:"told_at,omitzero"`
	Silent bool      `json:"silent,omitempty"`
	// Bad reports that it is a problem. Since is the time of the last change of Bad,
	// Flips holds the recent ones.
	Bad      bool        `json:"bad"`
	Since    time.Time   `json:"since"`
	Flips    []time.Time `json:"flips,omitempty"`
	Flapping bool        `json:"flapping,omitempty"`
	// RecoveredAt is the time of the last announced recovery.
	RecoveredAt time.Time `json:"recovered_at,omitzero"`
	// LastBad is the last report of a problem.
	LastBad *reported `json:"last_bad,omitempty"`
	// Steady is the time that OK must last before a recovery is announced.
	Steady time.Duration `json:"steady,omitempty"`
}

// reported is the last notice of one program, and since when it has reported that
// level.
type reported struct {
	Notice
	Since time.Time `json:"since"`
}

// note enters a notice.
func (c *condition) note(n Notice) {
	if c.Reports == nil {
		c.Reports = map[string]*reported{}
	}
	r := c.Reports[n.From]
	switch {
	case n.Level == Gone:
		delete(c.Reports, n.From)
	case r == nil || r.Level.rank() < n.Level.rank() || !n.Level.bad() && r.Level.bad():
		c.Reports[n.From] = &reported{n, n.Time}
	default: // as bad as before, or less: the problem has lasted since then
		c.Reports[n.From] = &reported{n, r.Since}
	}
	bad := c.worst(time.Time{}) != nil
	if bad != c.Bad || c.Since.IsZero() {
		if bad != c.Bad && n.Level != Gone {
			c.Flips = append(c.Flips, n.Time)
		}
		c.Bad, c.Since = bad, n.Time
	}
	if n.Level.bad() {
		c.Steady = max(c.Steady, n.Wait)
		c.LastBad = c.Reports[n.From]
	}
}

// worst returns the worst report of a problem, or nil. With a time, only problems count
// that have lasted for their Wait by then.
func (c *condition) worst(now time.Time) *reported {
	var worst *reported
	for _, from := range slices.Sorted(maps.Keys(c.Reports)) {
		r := c.Reports[from]
		ripe := now.IsZero() || now.Sub(r.Since) >= r.Wait
		if r.Level.bad() && ripe && (worst == nil || r.Level.rank() > worst.Level.rank()) {
			worst = r
		}
	}
	return worst
}

// forget reports whether the condition can be dropped: OK for long enough, or without
// reports for so long that no more will come.
func (c *condition) forget(now time.Time, repeat time.Duration) bool {
	var newest time.Time
	for _, r := range c.Reports {
		if r.Time.After(newest) {
			newest = r.Time
		}
	}
	return len(c.Reports) == 0 || !c.Bad && !c.Told.bad() && now.Sub(c.Since) > flapWindow || now.Sub(newest) > 2*repeat
}

// tick returns the message that is due now, or nil.
func (c *condition) tick(now time.Time, repeat time.Duration) *Message {
	c.Flips = slices.DeleteFunc(c.Flips, func(at time.Time) bool { return now.Sub(at) > flapWindow })
	worst := c.worst(now)
	switch {
	case c.Flapping:
		return c.tickFlapping(now, repeat)
	case len(c.Flips) >= flapLimit, worst != nil && !c.Told.bad() && now.Sub(c.RecoveredAt) < flapWindow && worst.Elsewhere == "":
		c.Flapping = true
		return c.say(KindFlapping, c.LastBad, now)
	case worst != nil && worst.Level.rank() > c.Told.rank():
		if worst.Elsewhere.rank() >= worst.Level.rank() {
			c.Told, c.ToldAt, c.Silent = worst.Level, now, true
			return nil
		}
		kind := KindProblem
		if c.Told.bad() {
			kind = KindWorse
		}
		return c.say(kind, worst, now)
	case c.Told.bad() && c.Bad && now.Sub(c.ToldAt) >= repeat:
		if c.Silent {
			return nil
		}
		return c.say(KindReminder, cmp.Or(worst, c.worst(time.Time{})), now)
	case c.Told.bad() && !c.Bad && now.Sub(c.Since) >= c.Steady:
		return c.recovered(now)
	}
	return nil
}

// tickFlapping is tick for a flapping condition, which ends when it is steady.
func (c *condition) tickFlapping(now time.Time, repeat time.Duration) *Message {
	worst := c.worst(now)
	switch {
	case worst != nil && worst.Level.rank() > c.Told.rank():
		return c.say(KindWorse, worst, now)
	case len(c.Flips) > 0 && c.Bad && now.Sub(c.ToldAt) >= repeat:
		return c.say(KindFlapping, c.LastBad, now)
	case len(c.Flips) > 0:
		return nil
	}
	c.Flapping = false
	if !c.Bad {
		return c.recovered(now)
	}
	return c.say(KindProblem, c.worst(time.Time{}), now)
}

// recovered announces the recovery, if this node announced the problem.
func (c *condition) recovered(now time.Time) *Message {
	silent := c.Silent
	was := c.Told
	m := c.say(KindRecovery, c.latest(), now)
	c.Told, c.Silent, c.Steady = OK, false, 0
	if silent || !was.bad() {
		return nil
	}
	c.RecoveredAt = now
	return m
}

// latest returns the newest report.
func (c *condition) latest() *reported {
	var newest *reported
	for _, r := range c.Reports {
		if newest == nil || r.Time.After(newest.Time) {
			newest = r
		}
	}
	return newest
}

// say returns a message for a report, and records that it was announced.
func (c *condition) say(kind Kind, r *reported, now time.Time) *Message {
	m := &Message{Kind: kind, Notice: r.Notice, Since: r.Since}
	m.Time = now
	switch kind {
	case KindFlapping:
		m.Changes = len(c.Flips)
		m.Text = append(slices.Clone(m.Text), fmt.Sprintf("it changed %d times within the last hour; the next message comes when it is steady", len(c.Flips)))
	case KindRecovery:
		m.Level, m.Since = OK, c.Since
	}
	if !m.Level.bad() && kind != KindRecovery {
		m.Level = Warning
	}
	if m.Level.rank() > c.Told.rank() {
		c.Told = m.Level
	}
	c.ToldAt, c.Silent = now, false
	return m
}
