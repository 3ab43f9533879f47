package notify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

var settings = config.Notify{Repeat: 24 * time.Hour, Settle: 5 * time.Minute}

// world is a node with its conditions and a clock.
type world struct {
	conditions map[string]*condition
	now        time.Time
	told       []string
}

func newWorld() *world { return &world{conditions: map[string]*condition{}, now: noon} }

// pass lets a minute go by, in which these notices come and the sender runs.
func (w *world) pass(notices ...Notice) {
	for i := range notices {
		notices[i].Time = w.now
		if notices[i].From == "" {
			notices[i].From = "zfs-replicate"
		}
	}
	for _, m := range digest(w.conditions, notices, w.now, settings) {
		w.told = append(w.told, fmt.Sprintf("%s %s %s", m.Kind, m.Level, m.Title))
	}
	w.now = w.now.Add(time.Minute)
}

func (w *world) expect(t *testing.T, want ...string) {
	t.Helper()
	if strings.Join(w.told, "\n") != strings.Join(want, "\n") {
		t.Errorf("told:\n%s\nwant:\n%s", strings.Join(w.told, "\n"), strings.Join(want, "\n"))
	}
}

func link(level Level, wait time.Duration) Notice {
	return Notice{Key: "standby/b", Level: level, Title: "link " + string(level), Wait: wait}
}

func TestToldOnChangeAndOnRecovery(t *testing.T) {
	w := newWorld()
	for range 30 {
		w.pass(link(Warning, 0))
	}
	w.pass(link(Critical, 0))
	for range 30 {
		w.pass(link(Warning, 0)) // less bad is no news, nor is critical again
	}
	w.pass(link(Critical, 0))
	for range 30 {
		w.pass(link(OK, 0))
	}
	w.expect(t, "problem warning link warning", "worse critical link critical", "recovery ok link ok")
}

func TestWhatPassesByItselfIsNotTold(t *testing.T) {
	w := newWorld()
	for range 4 {
		w.pass(link(Warning, settings.Settle))
	}
	for range 60 {
		w.pass(link(OK, 0))
	}
	w.expect(t)
	for range 10 {
		w.pass(link(Warning, settings.Settle))
	}
	w.pass(link(OK, 0)) // one good run is no recovery yet
	for range 10 {
		w.pass(link(Warning, settings.Settle))
	}
	w.expect(t, "problem warning link warning")
	for range 10 {
		w.pass(link(OK, 0))
	}
	w.expect(t, "problem warning link warning", "recovery ok link ok")
}

func TestRemindedSeldom(t *testing.T) {
	w := newWorld()
	for range 3*24*60 + 10 {
		w.pass(link(Critical, 0))
	}
	w.expect(t, "problem critical link critical", "reminder critical link critical", "reminder critical link critical", "reminder critical link critical")
}

// Two programs see the same link down.
func TestSeveralReportersOfOneCondition(t *testing.T) {
	w := newWorld()
	lag := func(level Level) Notice {
		n := link(level, settings.Settle)
		n.From = "lag-check"
		return n
	}
	for range 20 {
		w.pass(link(Warning, settings.Settle), lag(Warning))
	}
	w.pass(link(OK, 0), lag(Critical)) // one of them in order is not enough
	for range 20 {
		w.pass(link(OK, 0), lag(Critical))
	}
	for range 20 {
		w.pass(link(OK, 0), lag(OK))
	}
	w.expect(t, "problem warning link warning", "worse critical link critical", "recovery ok link ok")
}

func TestOtherNodeHasTold(t *testing.T) {
	w := newWorld()
	told := link(Warning, 0)
	told.Elsewhere = Warning
	for range 30 {
		w.pass(told)
	}
	w.expect(t)
	w.pass(link(Critical, 0)) // that one died, and it got worse
	w.expect(t, "worse critical link critical")
	w.pass(link(OK, 0))
	w.expect(t, "worse critical link critical", "recovery ok link ok")
	silent := newWorld()
	silent.pass(told)
	silent.pass(link(OK, 0))
	silent.expect(t)
}

func TestTakenBack(t *testing.T) {
	w := newWorld()
	w.pass(link(Critical, 0))
	w.pass(link(Gone, 0))
	for range 3 * 24 * 60 {
		w.pass()
	}
	w.expect(t, "problem critical link critical")
	if len(w.conditions) > 0 {
		t.Errorf("remembered: %v", w.conditions)
	}
}

func TestNobodyReportsAnyMore(t *testing.T) {
	w := newWorld()
	w.pass(link(Critical, 0))
	for range 5 * 24 * 60 {
		w.pass()
	}
	w.expect(t, "problem critical link critical", "reminder critical link critical", "reminder critical link critical")
}

// A day of runs every minute over a link that comes and goes: what people get.
func TestADayWithAFlappingLink(t *testing.T) {
	for _, test := range []struct {
		name     string
		down, up int // minutes
		want     []string
	}{
		// Never down for as long as settle: only that it comes and goes.
		{"2 minutes down, 8 up", 2, 8, []string{"flapping warning link warning", "recovery ok link ok"}},
		{"10 down, 10 up", 10, 10, []string{"problem warning link warning", "recovery ok link ok", "flapping warning link warning", "recovery ok link ok"}},
		{"1 down, 179 up", 1, 179, nil},
		{"30 down, 330 up", 30, 330, []string{
			"problem warning link warning", "recovery ok link ok", "problem warning link warning", "recovery ok link ok",
			"problem warning link warning", "recovery ok link ok", "problem warning link warning", "recovery ok link ok"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			for minute := range 24 * 60 {
				if minute%(test.down+test.up) < test.down {
					w.pass(link(Warning, settings.Settle))
				} else {
					w.pass(link(OK, 0))
				}
			}
			for range 120 {
				w.pass(link(OK, 0))
			}
			t.Logf("%d runs, %d messages", 24*60, len(w.told))
			w.expect(t, test.want...)
		})
	}
}
