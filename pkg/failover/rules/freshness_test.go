package rules

import (
	"testing"
)

func TestNewerReplica(t *testing.T) {
	of := func(term uint64, datasets map[string]ReplicaOf) *Replica { return &Replica{term, datasets} }
	older := of(3, map[string]ReplicaOf{"tank": {"a", 10}, "tank/x": {"a", 10}})
	for _, c := range []struct {
		name string
		r    *Replica
		want bool
	}{
		{"the same", of(3, map[string]ReplicaOf{"tank": {"a", 10}, "tank/x": {"a", 10}}), false},
		{"one dataset is newer", of(3, map[string]ReplicaOf{"tank": {"a", 10}, "tank/x": {"a", 11}}), true},
		{"one is newer, one older", of(3, map[string]ReplicaOf{"tank": {"a", 9}, "tank/x": {"a", 11}}), false},
		{"one is missing", of(3, map[string]ReplicaOf{"tank": {"a", 12}}), false},
		{"one more", of(3, map[string]ReplicaOf{"tank": {"a", 10}, "tank/x": {"a", 10}, "tank/y": {"a", 3}}), true},
		{"another sender's can't be compared", of(3, map[string]ReplicaOf{"tank": {"a", 10}, "tank/x": {"b", 99}}), false},
		{"a newer term", of(4, map[string]ReplicaOf{"tank": {"b", 1}}), true},
		{"an older term", of(2, map[string]ReplicaOf{"tank": {"a", 99}, "tank/x": {"a", 99}}), false},
		{"by an older program", of(3, map[string]ReplicaOf{"tank": {}, "tank/x": {}}), false},
		{"nothing", nil, false},
	} {
		if got := c.r.newerThan(older); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if c.want && older.newerThan(c.r) {
			t.Errorf("%s: each is newer than the other", c.name)
		}
	}
	if !older.newerThan(nil) {
		t.Error("something is not newer than nothing")
	}
}
