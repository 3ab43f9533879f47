package images

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/images/record"
)

// LastRecord is what the last run found; the zero Record before the first.
func (n *Node) LastRecord() (record.Record, error) {
	r, _, err := record.Read(n.State)
	return r, err
}

// verify looks once more at each image of each project, as Compose will when it
// starts them, and says what is here.
func (f *fetcher) verify(ctx context.Context, projects []compose.ProjectImages, items []*Item, before record.Record) ([]record.Image, error) {
	byName := map[string]*Item{}
	for _, i := range items {
		byName[i.want.target.String()+" "+i.Platform] = i
	}
	since := map[record.Image]time.Time{}
	for _, s := range before.Projects {
		since[record.Image{Project: s.Project, Ref: s.Ref, ID: s.ID}] = s.WantedSince
	}
	here := map[string]docker.Image{}
	states := []record.Image{}
	for _, p := range projects {
		for _, i := range p.Images {
			s := record.Image{Project: p.Name, Ref: i.Ref, Optional: i.Off}
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
			switch {
			case s.Here:
				s.Why = ""
			case record.Pinned(s.Ref) && s.Why != "":
				s.Why += "; its name has a digest, so it can't be copied from another node"
			}
			s.WantedSince = since[record.Image{Project: s.Project, Ref: s.Ref, ID: s.ID}]
			if s.WantedSince.IsZero() {
				s.WantedSince = f.node.Now()
			}
			states = append(states, s)
		}
	}
	slices.SortStableFunc(states, func(a, b record.Image) int { return cmp.Compare(a.Project, b.Project) })
	return states, nil
}
