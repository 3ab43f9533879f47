package images

import (
	"context"

	"github.com/understudy-ha/understudy/pkg/docker"
)

// tag gives an image the name that projects call it by.
func (f *fetcher) tag(ctx context.Context, w *want, id string) error {
	if w.target.Tag == "" {
		return nil
	}
	return f.node.Engine.TagImage(ctx, id, w.target.Repository, w.target.Tag)
}

// check sees that the name stands for the right image now.
func (f *fetcher) check(ctx context.Context, w *want, item *Item) error {
	here, err := f.inspect(ctx, w.ref)
	if err != nil {
		return err
	}
	switch {
	case here.ID == "":
		return &MissingError{Ref: w.ref, What: "is still not here"}
	case here.Incomplete():
		return incomplete(w.ref)
	case !f.right(w, here):
		return &MissingError{Ref: w.ref, What: "is for " + here.Platform + ", which is not what is to run it"}
	case w.image.ID != "" && w.target.Digest == "" && !here.Same(w.image) && !sameDigest(w.target, here, w.image) && !f.otherName(here, w):
		return &MissingError{Ref: w.ref, What: "is another one than the active node has"}
	}
	item.ID = here.ID
	if item.Digest == "" {
		item.Digest = here.Digest(w.target.Repository)
	}
	return nil
}

// otherName reports whether both came from a registry as one version under a name
// other than this node.
func (f *fetcher) otherName(here docker.Image, w *want) bool {
	origin, known := w.origin()
	return known && here.Digest(origin.Repository) == origin.Digest
}

// incomplete is an image of which the engine has only a part.
func incomplete(ref string) error {
	return &MissingError{Ref: ref, What: "is here in part only: the engine took its layers from an image that was loaded before, and left out the rest",
		Advice: "load it from a node that has it whole: docker save " + ref + " | ssh THIS-NODE docker load"}
}
