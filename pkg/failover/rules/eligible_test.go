package rules

import (
	"slices"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

func kinds(reasons []state.Ineligible) []string {
	var kinds []string
	for _, r := range reasons {
		kinds = append(kinds, r.Kind)
	}
	return kinds
}

func TestWhoMayHoldTheAddress(t *testing.T) {
	now := time.Now()
	self := func(active, newest uint64) state.RoleFile {
		return state.RoleFile{ActiveTerm: active, NewestTerm: newest}
	}
	active := PeerState{Node: "b", Role: state.RoleActive, Writers: true, ActiveTerm: 5, NewestTerm: 5}
	standby := PeerState{Node: "b", Role: state.RoleStandby, ActiveTerm: 5, NewestTerm: 5}
	boot := []string{state.IneligibleBoot}
	for _, c := range []struct {
		name string
		s    Situation
		last []string
		want []string
	}{
		{"a pair that never had an active node, the first", Situation{Highest: true, Silent: []string{"b"}}, boot, nil},
		{"a pair that never had an active node, the second", Situation{Silent: []string{"a"}}, boot, []string{state.IneligibleWaiting}},
		{"the wait is over", Situation{Silent: []string{"a"}, Joined: now.Add(-time.Hour)}, boot, nil},
		{"active last, the other is down", Situation{Self: self(5, 5), Silent: []string{"b"}}, boot, nil},
		{"active once, but a newer term was heard of", Situation{Self: self(4, 5), Silent: []string{"b"}}, boot, []string{state.IneligibleWaiting}},
		{"active last, a promotion of the other came to nothing", Situation{Self: self(4, 5), Peers: []PeerState{{Node: "b", NewestTerm: 5}}}, boot, nil},
		{"the other was active last", Situation{Self: self(4, 5), Highest: true, Peers: []PeerState{standby}}, boot, []string{state.IneligibleWaiting}},
		{"the other is active, compose only", Situation{Self: self(4, 4), Peers: []PeerState{active}}, boot, nil},
		{"the other is active, all its data is here", Situation{Self: self(4, 4), Data: true, Received: 5, Peers: []PeerState{active}}, boot, nil},
		{"the other is active since, nothing has come", Situation{Self: self(4, 4), Data: true, Received: 3, Peers: []PeerState{active}}, boot, []string{state.IneligibleReplica}},
		{"both were active, and the other one goes on under an older term", Situation{Self: self(6, 6), Data: true, Received: 5, Peers: []PeerState{active}}, nil, []string{state.IneligibleReplica}},
		{"a fresh standby", Situation{Data: true, Peers: []PeerState{active}}, boot, []string{state.IneligibleReplica}},
		{"an old replica stays one when the active node dies", Situation{Self: self(4, 5), Data: true, Received: 3, Silent: []string{"b"}, Joined: now.Add(-time.Hour)},
			[]string{state.IneligibleReplica}, []string{state.IneligibleReplica}},
		{"a replica of this term is enough after the active node took another", Situation{Self: self(2, 3), Data: true, Received: 3, Peers: []PeerState{active}}, nil, nil},
		{"the active node stops: no waiting as after a boot", Situation{Data: true, Received: 5, Peers: []PeerState{standby}}, nil, nil},
		{"cut off", Situation{Self: self(5, 5), Isolated: true, Silent: []string{"b"}}, []string{state.IneligibleRefused}, []string{state.IneligibleRefused}},
		{"cut off no more", Situation{Self: self(5, 5), Silent: []string{"b"}}, []string{state.IneligibleRefused}, nil},
		{"the other still writes", Situation{Self: self(4, 5), Peers: []PeerState{{Node: "b", Role: state.RoleFault, Writers: true, ActiveTerm: 5}}, Joined: now.Add(-time.Hour)},
			[]string{state.IneligibleRefused}, []string{state.IneligibleRefused}},
	} {
		c.s.Now, c.s.Wait = now, time.Minute
		if c.s.Joined.IsZero() {
			c.s.Joined = now
		}
		var last []state.Ineligible
		for _, kind := range c.last {
			last = append(last, state.Ineligible{Kind: kind})
		}
		if got := kinds(passing(c.s, last)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
