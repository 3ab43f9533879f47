package state_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

func TestRoleBeforeAnyIsKnown(t *testing.T) {
	got, err := open(t).Role()
	if err != nil || got != (state.RoleFile{}) {
		t.Errorf("role %+v, error %v", got, err)
	}
	if s := got.Role.String(); s != "unknown" {
		t.Errorf("role reads %q", s)
	}
}

func TestRoleIsKept(t *testing.T) {
	d := open(t)
	want := state.RoleFile{Role: state.RoleActive, Term: 4, NewestTerm: 5, Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	if err := d.SetRole(want); err != nil {
		t.Fatal(err)
	}
	got, err := d.Role()
	if err != nil || got != want {
		t.Errorf("role %+v, error %v, want %+v", got, err, want)
	}
}

func TestOwnTermCountsAsSeen(t *testing.T) {
	d := open(t)
	if err := d.SetRole(state.RoleFile{Role: state.RoleStandby, Term: 9, NewestTerm: 3}); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Role(); err != nil || got.NewestTerm != 9 {
		t.Errorf("newest term %d, error %v", got.NewestTerm, err)
	}
}

func TestRoleIsNeverGuessed(t *testing.T) {
	d := open(t)
	path := filepath.Join(d.Path(), "role.json")
	for _, content := range []string{`{"role":"master"}`, `{"role":1}`, `{"term":-1}`, `garbage`, ``} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := d.Role()
		if corrupt, ok := errors.AsType[*state.CorruptError](err); !ok || !strings.Contains(corrupt.Error(), path) {
			t.Errorf("%s: error %v", content, err)
		}
		if got != (state.RoleFile{}) {
			t.Errorf("%s: role %+v", content, got)
		}
	}
	if err := d.SetRole(state.RoleFile{Role: "master"}); err == nil {
		t.Error("an unknown role was recorded")
	}
}

// A newer version's file may say more than this version knows.
func TestRoleIgnoresFurtherKeys(t *testing.T) {
	d := open(t)
	content := `{"role":"standby","term":2,"newest_term":2,"steps":[{"name":"x"}]}`
	if err := os.WriteFile(filepath.Join(d.Path(), "role.json"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Role(); err != nil || got.Role != state.RoleStandby || got.Term != 2 {
		t.Errorf("role %+v, error %v", got, err)
	}
}
