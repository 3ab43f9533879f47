package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/drill"
	"github.com/understudy-ha/understudy/drill/observe"
	"github.com/understudy-ha/understudy/pkg/state"
)

// moment is a line of the timeline.
type moment struct {
	at   time.Duration // since the plug was pulled
	who  string
	what string
}

// timeline prints the observations from outside and the steps of the promotion
// that b recorded.
func (d *demo) timeline(ctx context.Context) error {
	d.step("Timeline, in seconds since the power loss")
	offset, err := d.clock(ctx)
	if err != nil {
		return err
	}
	s, err := drill.ReadState(ctx, d.site.B)
	if err != nil {
		return err
	}
	since := func(at time.Time) time.Duration { return at.Add(-offset).Sub(d.takeover.pulled) }
	list := []moment{{0, "a", "loses power"}}
	if s.Request.Requested == state.RequestMaster {
		list = append(list, moment{since(s.Request.Time), "b", "keepalived misses a, takes the VIP, calls failover-notify"})
	}
	if s.Role.Transition != nil {
		list = append(list, promotion(s.Role.Transition.Steps, since)...)
	}
	list = append(list, d.answers()...)
	slices.SortStableFunc(list, func(x, y moment) int { return cmp.Compare(x.at, y.at) })
	for _, m := range list {
		d.say("%s  %s  %s", d.styled(bold, fmt.Sprintf("%6.2f", m.at.Seconds())), m.who, shorten(m.what, width-17))
	}
	d.done("b is active under term %d", s.Role.Term)
	return nil
}

// words describes the steps of a promotion in their order. Steps with one text
// make one line.
var words = map[string]string{
	"witness":        "asks whether a still serves; no answer",
	"ask":            "asks whether a still serves; no answer",
	"stop receiving": "stops receiving from a",
	"list datasets":  "takes a snapshot, makes the data writable and mounts it",
	"snapshot":       "takes a snapshot, makes the data writable and mounts it",
	"make writable":  "takes a snapshot, makes the data writable and mounts it",
	"read back":      "takes a snapshot, makes the data writable and mounts it",
	"mount":          "takes a snapshot, makes the data writable and mounts it",
	"verify":         "takes a snapshot, makes the data writable and mounts it",
	"networks":       "starts",
	"start":          "starts",
}

// promotion returns the steps of a promotion; steps with one text make one
// line.
func promotion(steps []state.Step, since func(time.Time) time.Duration) []moment {
	var list []moment
	for _, step := range steps {
		text, ok := words[step.Name]
		if !ok {
			continue
		}
		if last := len(list) - 1; last < 0 || !strings.HasPrefix(list[last].what, text) {
			list = append(list, moment{since(step.Started), "b", text})
		}
		if step.Name == "start" {
			list[len(list)-1].what += " " + step.Object
		}
	}
	return list
}

// answers returns the first answers of b that clients received.
func (d *demo) answers() []moment {
	var list []moment
	seen := d.site.Line.Since(d.takeover.pulled)
	for _, name := range drill.Applications(d.site.Lab.Kind()) {
		answers := seen.Answers(name)
		if i := slices.IndexFunc(answers, func(a observe.Answer) bool { return a.OK && a.Node == "b" }); i >= 0 {
			list = append(list, moment{answers[i].Received.Sub(d.takeover.pulled), "→", d.styled(green, name+" takes a client's note again")})
		}
	}
	return list
}

// clock returns how far b's clock is ahead of this machine's.
func (d *demo) clock(ctx context.Context) (time.Duration, error) {
	sent := time.Now()
	text, err := drill.Run(ctx, d.site.B, "date", "+%s%N")
	if err != nil {
		return 0, fmt.Errorf("ask b for its time: %w", err)
	}
	took := time.Since(sent)
	nanoseconds, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("ask b for its time: %w", err)
	}
	return time.Unix(0, nanoseconds).Sub(sent.Add(took / 2)), nil
}
