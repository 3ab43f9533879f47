// Package record owns images.json, in which image-sync says what its last run
// found: the images that each project wants, and whether they are here. Other
// programs read it, and look again at what is here by now.
//
// It must not know how images are brought.
package record

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/state"
)

// name is that of the state file, images.json.
const name = "images"

// Record is what images.json holds: what the last run found.
type Record struct {
	Time time.Time `json:"time"`
	// LastSuccess is when a run last ended with nothing left to be desired.
	LastSuccess time.Time `json:"last_success,omitzero"`
	// Complete says that every project could start with the network unplugged.
	Complete bool `json:"complete"`
	// Active is the node whose images were wanted; "" when none was known.
	Active   string   `json:"active,omitempty"`
	Projects []Image  `json:"projects"`
	Problems []string `json:"problems,omitempty"`
}

// Image is one image of one project.
type Image struct {
	Project string `json:"project"`
	Ref     string `json:"image"`
	// ID and Digest are those that are wanted; where the active node's are not
	// known, those that are here.
	ID     string `json:"id,omitempty"`
	Digest string `json:"digest,omitempty"`
	// Here says that the wanted one is here, for the right platform.
	Here bool `json:"here"`
	// HereID is what the name stands for on this node.
	HereID string `json:"here_id,omitempty"`
	// Optional images belong to services whose profiles are off only.
	Optional bool `json:"optional,omitempty"`
	// WantedSince is when this image was wanted first.
	WantedSince time.Time `json:"wanted_since"`
	// Why says why it is not here.
	Why string `json:"why,omitempty"`
}

// Pinned reports whether an image's name has a digest. Such a name can only be
// pulled: no engine gives one to an image that it loads (moby/moby#22011).
func Pinned(ref string) bool { return strings.Contains(ref, "@sha256:") }

// Read returns what the last run found, and false before the first.
func Read(dir *state.Dir) (Record, bool, error) {
	var r Record
	found, err := dir.Read(name, &r)
	return r, found, err
}

// Write keeps what a run has found.
func Write(dir *state.Dir, r Record) error { return dir.Write(name, r) }

// Missing are the names of the images that are not here, each once, sorted.
func (r Record) Missing() []string {
	var list []string
	for _, s := range r.Projects {
		if !s.Here {
			list = append(list, s.Ref)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Complete reports whether nothing keeps a project from starting.
func Complete(images []Image, problems []string) bool {
	return len(problems) == 0 && !slices.ContainsFunc(images, func(s Image) bool { return !s.Here && !s.Optional })
}

// Inspector is an engine that is asked for images.
type Inspector interface {
	InspectImage(ctx context.Context, ref string) (docker.Image, error)
}

// LookAgain sees what is here now of what the last run wanted. No other node
// is asked.
func (r *Record) LookAgain(ctx context.Context, engine Inspector) error {
	for i := range r.Projects {
		one := &r.Projects[i]
		image, err := engine.InspectImage(ctx, one.Ref)
		if err != nil && !docker.NotFound(err) {
			return err
		}
		if image.ID != one.HereID { // it has changed since
			one.HereID = image.ID
			one.Here = image.ID != "" && (one.ID == "" || image.ID == one.ID || one.Digest != "" && hasDigest(image, one.Digest))
		}
	}
	r.Complete = Complete(r.Projects, r.Problems)
	return nil
}

func hasDigest(i docker.Image, digest string) bool {
	return slices.ContainsFunc(i.Digests, func(d string) bool { return strings.HasSuffix(d, "@"+digest) })
}
