package record

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/state"
)

// engine has images by the names that they have.
type engine map[string]docker.Image

func (e engine) InspectImage(_ context.Context, ref string) (docker.Image, error) {
	if ref == "broken" {
		return docker.Image{}, errors.New("the engine does not run")
	}
	if i, found := e[ref]; found {
		return i, nil
	}
	return docker.Image{}, &docker.Error{Op: "look at image " + ref, Status: http.StatusNotFound}
}

// What has come or gone since the last run shows.
func TestLookAgain(t *testing.T) {
	dir, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, found, err := Read(dir); found || err != nil {
		t.Fatalf("found before the first run, %v", err)
	}
	was := Record{Active: "a", Projects: []Image{
		{Ref: "same:1", ID: "1", HereID: "1", Here: true},
		{Ref: "gone:1", ID: "2", HereID: "2", Here: true},
		{Ref: "came:1", ID: "3"},
		{Ref: "other:1", ID: "4", HereID: "4", Here: true},
		{Ref: "digest:1", ID: "5", Digest: "sha256:d"},
		{Ref: "off:1", ID: "6", Optional: true},
		{Ref: "same:1", Project: "two", ID: "1", HereID: "1", Here: true},
	}}
	if err := Write(dir, was); err != nil {
		t.Fatal(err)
	}
	r, found, err := Read(dir)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	here := engine{"same:1": {ID: "1"}, "came:1": {ID: "3"}, "other:1": {ID: "9"}, "digest:1": {ID: "8", Digests: []string{"digest@sha256:d"}}}
	if err := r.LookAgain(t.Context(), here); err != nil {
		t.Fatal(err)
	}
	if got, want := r.Missing(), []string{"gone:1", "off:1", "other:1"}; !slices.Equal(got, want) || r.Complete {
		t.Errorf("missing %q, want %q; complete %v", got, want, r.Complete)
	}
	if r.Projects[3].HereID != "9" {
		t.Errorf("%+v: not said what is here", r.Projects[3])
	}
	here["gone:1"], here["other:1"] = docker.Image{ID: "2"}, docker.Image{ID: "4"}
	if err := r.LookAgain(t.Context(), here); err != nil || !r.Complete {
		t.Errorf("%v, complete %v: an image of a profile that is off keeps nothing from starting", err, r.Complete)
	}
	r.Projects[0].Ref = "broken"
	if err := r.LookAgain(t.Context(), here); err == nil {
		t.Error("no error though the engine does not run")
	}
}
