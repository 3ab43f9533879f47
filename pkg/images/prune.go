package images

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/images/record"
)

// broughtName is the state file of the images that image-sync has brought.
const broughtName = "images-brought"

// brought are the images that image-sync has brought, and may remove.
type brought struct {
	Images []broughtImage `json:"images"`
}

type broughtImage struct {
	ID         string    `json:"id"`
	Ref        string    `json:"image"`
	Repository string    `json:"repository"`
	Time       time.Time `json:"time"`
	// Superseded is when it was last found to be in use by no project.
	Superseded time.Time `json:"superseded,omitzero"`
}

// add takes note of an image, and reports whether it was not known before.
func (b *brought) add(i *Item, now time.Time) bool {
	one := broughtImage{ID: i.ID, Ref: i.Ref, Repository: i.want.target.Repository, Time: now}
	if slices.ContainsFunc(b.Images, func(o broughtImage) bool { return o.ID == one.ID && o.Repository == one.Repository }) {
		return false
	}
	b.Images = append(b.Images, one)
	return true
}

// noteBrought records an image as soon as it is here: a run that is killed
// later must not leave one that is never removed.
func (f *fetcher) noteBrought(i *Item) error {
	f.noting.Lock()
	defer f.noting.Unlock()
	var b brought
	if _, err := f.node.State.Read(broughtName, &b); err != nil {
		return err
	}
	if !b.add(i, f.node.Now()) {
		return nil
	}
	return f.node.State.Write(broughtName, b)
}

// mark says of each image whether a project still names it, by what the names
// stand for and what the active node runs.
func (b *brought) mark(states []record.Image, now time.Time) {
	used := map[string]bool{}
	for _, s := range states {
		used[s.ID], used[s.HereID] = true, true
	}
	for i := range b.Images {
		switch one := &b.Images[i]; {
		case used[one.ID]:
			one.Superseded = time.Time{}
		case one.Superseded.IsZero():
			one.Superseded = now
		}
	}
}

// surplus are the images to remove: of each repository the superseded ones but
// for the newest keep.
func (b *brought) surplus(keep int) []broughtImage {
	byRepository := map[string][]broughtImage{}
	for _, one := range b.Images {
		if !one.Superseded.IsZero() {
			byRepository[one.Repository] = append(byRepository[one.Repository], one)
		}
	}
	var list []broughtImage
	for _, all := range byRepository {
		slices.SortStableFunc(all, func(a, b broughtImage) int {
			return cmp.Or(b.Superseded.Compare(a.Superseded), b.Time.Compare(a.Time))
		})
		list = append(list, all[min(keep, len(all)):]...)
	}
	slices.SortFunc(list, func(a, b broughtImage) int { return cmp.Compare(a.Ref+a.ID, b.Ref+b.ID) })
	return list
}

// prune removes our own superseded images. One that a container still has, or
// that somebody has given another name, is left alone.
func (n *Node) prune(ctx context.Context, b *brought, keep int) (removed []string, err error) {
	for _, one := range b.surplus(keep) {
		image, err := n.Engine.InspectImage(ctx, one.ID)
		if slices.ContainsFunc(image.Tags, func(tag string) bool { return !sameName(tag, one.Ref) }) {
			continue // it has become somebody else's as well
		}
		if err == nil {
			err = n.Engine.RemoveImage(ctx, one.ID)
		}
		switch {
		case docker.InUse(err):
			n.Log.Debug().Err(err).Str("image", one.ID).Msg("not removed: something has it")
			continue
		case err != nil && !docker.NotFound(err):
			return removed, err
		case err == nil:
			removed = append(removed, one.Ref+" "+short(one.ID))
		}
		b.Images = slices.DeleteFunc(b.Images, func(o broughtImage) bool { return o == one })
	}
	return removed, nil
}
