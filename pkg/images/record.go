package images

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/docker"
)

// recordName is the state file that other programs read, images.json.
const recordName = "images"

// Record is what images.json holds: what the last run found.
type Record struct {
	Time time.Time `json:"time"`
	// LastSuccess is when a run last ended with nothing left to be desired.
	LastSuccess time.Time `json:"last_success,omitzero"`
	// Complete says that every project could start with the network unplugged.
	Complete bool `json:"complete"`
	// Active is the node whose images were wanted; "" when none was known.
	Active   string   `json:"active,omitempty"`
	Projects []State  `json:"projects"`
	Problems []string `json:"problems,omitempty"`
}

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

// LastRecord is what the last run found; the zero Record before the first.
func (n *Node) LastRecord() (Record, error) {
	var r Record
	_, err := n.State.Read(recordName, &r)
	return r, err
}

// State is one image of one project.
type State struct {
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

// verify looks once more at each image of each project, as Compose will when it
// starts them, and says what is here.
func (f *fetcher) verify(ctx context.Context, projects []compose.ProjectImages, items []*Item, before Record) ([]State, error) {
	byName := map[string]*Item{}
	for _, i := range items {
		byName[i.want.target.String()+" "+i.Platform] = i
	}
	since := map[State]time.Time{}
	for _, s := range before.Projects {
		since[State{Project: s.Project, Ref: s.Ref, ID: s.ID}] = s.WantedSince
	}
	here := map[string]docker.Image{}
	states := []State{}
	for _, p := range projects {
		for _, i := range p.Images {
			s := State{Project: p.Name, Ref: i.Ref, Optional: i.Off}
			t, err := parse(i.Ref)
			item := byName[t.String()+" "+i.Platform]
			if err != nil || item == nil {
				s.Why = "its name is none"
				states = append(states, s)
				continue
			}
			image, known := here[i.Ref]
			if !known {
				if image, err = f.inspect(ctx, i.Ref); err != nil {
					return nil, err
				}
				here[i.Ref] = image
			}
			w := item.want
			s.HereID, s.Why = image.ID, item.Error
			s.Here = image.ID != "" && f.right(w, image) && (w.image.ID == "" || w.target.Digest != "" ||
				image.Same(w.image) || sameDigest(w.target, image, w.image) || f.otherName(image, w))
			s.ID, s.Digest = cmp.Or(w.image.ID, image.ID), cmp.Or(item.Digest, image.Digest(t.Repository))
			if s.Here {
				s.Why = ""
			}
			s.WantedSince = since[State{Project: s.Project, Ref: s.Ref, ID: s.ID}]
			if s.WantedSince.IsZero() {
				s.WantedSince = f.node.Now()
			}
			states = append(states, s)
		}
	}
	slices.SortStableFunc(states, func(a, b State) int { return cmp.Compare(a.Project, b.Project) })
	return states, nil
}

// complete says whether nothing keeps a project from starting.
func complete(states []State, problems []string) bool {
	return len(problems) == 0 && !slices.ContainsFunc(states, func(s State) bool { return !s.Here && !s.Optional })
}
