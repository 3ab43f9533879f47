package lease

import (
	"testing"
	"time"
)

func TestRenewals(t *testing.T) {
	const election, revision = 7, 100
	began := time.Now()
	type look struct {
		at, took    time.Duration
		whole       int
		election    uint64
		revision    uint64
		wantRenewed bool
	}
	for name, looks := range map[string][]look{
		"never renewed": {
			{0, 0, 14, election, revision, false}, {500 * time.Millisecond, 0, 14, election, revision, false},
			{999 * time.Millisecond, 0, 14, election, revision, false}, {3 * time.Second, 0, 11, election, revision, false},
		},
		"more seconds than before":           {{0, 0, 12, election, revision, false}, {250 * time.Millisecond, 0, 13, election, revision, true}},
		"as many, later than they could be":  {{0, 0, 14, election, revision, false}, {time.Second, 0, 14, election, revision, true}},
		"fewer, later than they could be":    {{0, 0, 14, election, revision, false}, {4 * time.Second, 0, 11, election, revision, true}},
		"the first answer took long":         {{0, time.Second, 14, election, revision, false}, {1500 * time.Millisecond, 0, 14, election, revision, false}},
		"a new leader":                       {{0, 0, 12, election, revision, false}, {time.Second, 0, 14, election + 1, revision, false}, {2 * time.Second, 0, 13, election + 1, revision, false}},
		"renewed under a new leader":         {{0, 0, 12, election, revision, false}, {time.Second, 0, 12, election + 1, revision, false}, {2 * time.Second, 0, 14, election + 1, revision, true}},
		"a leader that gives more than that": {{0, 0, 14, election, revision, false}, {time.Second, 0, 16, election, revision, false}, {2 * time.Second, 0, 14, election, revision, true}},
		"longer than it can last at first":   {{0, 0, 16, election, revision, false}, {3 * time.Second, 0, 14, election, revision, false}, {4 * time.Second, 0, 13, election, revision, false}},
		"another lease":                      {{0, 0, 12, election, revision, false}, {time.Second, 0, 14, election, revision + 1, false}},
		"etcd does not say how long":         {{0, 0, 0, 0, revision, false}, {5 * time.Second, 0, 14, election, revision, false}, {6 * time.Second, 0, 0, 0, revision, false}},
	} {
		t.Run(name, func(t *testing.T) {
			var r Renewals
			for i, l := range looks {
				h := Holder{Node: "a", Revision: l.revision, left: left{time.Duration(l.whole) * time.Second, 15 * time.Second, l.election,
					began.Add(l.at), began.Add(l.at + l.took)}}
				if got := r.Seen(h); got != l.wantRenewed {
					t.Errorf("look %d, after %s: %v", i, l.at, got)
				}
			}
		})
	}
}
