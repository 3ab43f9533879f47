package images

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/docker"
)

// Item is what became of one image.
type Item struct {
	Ref      string   `json:"image"`
	Platform string   `json:"platform,omitempty"`
	Projects []string `json:"projects"`
	Action   Action   `json:"action"`
	// From is the registry or the node that it came from.
	From string `json:"from,omitempty"`
	// ID and Digest are those of the wanted image, as far as they are known.
	ID       string  `json:"id,omitempty"`
	Digest   string  `json:"digest,omitempty"`
	Before   string  `json:"before,omitempty"` // the id that the name stood for
	Bytes    int64   `json:"bytes,omitempty"`  // copied from the active node
	Attempts int     `json:"attempts,omitempty"`
	Seconds  float64 `json:"seconds,omitempty"`
	// Warning is what went wrong on the way to success.
	Warning string `json:"warning,omitempty"`
	Error   string `json:"error,omitempty"`

	err  error
	want *want
}

// Fetched reports whether something was brought here.
func (i *Item) Fetched() bool {
	return i.Error == "" && (i.Action == Pull || i.Action == Copy || i.Action == Tag)
}

// fetcher brings images here, several at the same time.
type fetcher struct {
	node     *Node
	policy   policy
	source   *source // nil: no active node is known
	info     docker.Info
	registry registry
	pauses   *pauses
	space    *space
	progress Progress
	dryRun   bool
	noting   sync.Mutex // guards the state file of what was brought
}

// registry is what is asked of registries.
type registry interface {
	digest(ctx context.Context, t target) (string, error)
	header(ctx context.Context, host string) (string, error)
}

// one does what is to be done about one image.
func (f *fetcher) one(ctx context.Context, w *want) *Item {
	item := &Item{Ref: w.ref, Platform: w.platform, Projects: w.projects, ID: w.image.ID, Digest: w.image.Digest(w.target.Repository), want: w}
	began := time.Now()
	item.err = f.try(ctx, w, item)
	if item.err != nil {
		item.Error = item.err.Error()
	}
	if item.Action != Current {
		item.Seconds = time.Since(began).Seconds()
	}
	return item
}

func (f *fetcher) try(ctx context.Context, w *want, item *Item) error {
	here, err := f.inspect(ctx, w.ref)
	if err != nil {
		return err
	}
	var byID docker.Image
	if w.image.ID != "" && !here.Same(w.image) {
		if byID, err = f.inspect(ctx, w.image.ID); err != nil {
			return err
		}
	}
	partial := here.Incomplete() || byID.Incomplete()
	if here.ID != "" && !f.right(w, here) {
		here = docker.Image{} // for another kind of machine, or not whole
	}
	if byID.Incomplete() {
		byID = docker.Image{}
	}
	item.Before = here.ID
	item.Action = decide(w, f.policy, here, byID)
	if item.Action == Pull && partial && f.canCopy(w) {
		item.Action = Copy // another pull would find the layers here, and do nothing
	}
	if item.Action == Ask {
		if done, err := f.ask(ctx, w, here, item); done || err != nil {
			return err
		}
	}
	if item.Action == Missing {
		return f.missing(w)
	}
	if item.Action == Current || f.dryRun {
		return nil
	}
	if err := f.bring(ctx, w, here, item); err != nil {
		return err
	}
	if err := f.check(ctx, w, item); err != nil || item.Action == Tag {
		return err
	}
	return f.noteBrought(item)
}

// inspect looks at an image; one that is not here is the zero Image.
func (f *fetcher) inspect(ctx context.Context, ref string) (docker.Image, error) {
	image, err := f.node.Engine.InspectImage(ctx, ref)
	if docker.NotFound(err) {
		return docker.Image{}, nil
	}
	return image, err
}

// right reports whether an image is for the platform on which it is to run. The
// active node may run another than its engine's own, and knows why.
func (f *fetcher) right(w *want, image docker.Image) bool {
	switch {
	case image.Incomplete():
		return false
	case w.platform != "":
		return fits(image.Platform, w.platform)
	case w.image.Platform != "" && !w.image.Incomplete() && f.source != nil && f.source.manifest.Platform == f.info.Platform:
		return fits(image.Platform, w.image.Platform)
	}
	return fits(image.Platform, f.info.Platform)
}

// ask asks the registry for a newer version. Nothing is to be done where there
// is none, or where it can't be told and the old one serves.
func (f *fetcher) ask(ctx context.Context, w *want, here docker.Image, item *Item) (done bool, err error) {
	digest, err := f.retry(ctx, w, item, func() (string, error) { return f.registry.digest(ctx, w.target) })
	if err != nil {
		return true, err
	}
	item.Digest = digest
	if here.Digest(w.target.Repository) == digest {
		item.Action, item.Attempts = Current, 0
		return true, nil
	}
	item.Action = Pull
	return false, nil
}

// missing says why an image is not here, and nothing is done about it.
func (f *fetcher) missing(w *want) error {
	if w.built {
		return &MissingError{Ref: w.ref, What: "is built by its project and is not here",
			Advice: "build it on the active node ('docker compose build'): a standby copies it from there"}
	}
	return &MissingError{Ref: w.ref, What: "is not here, and the active node fetches nothing by itself",
		Advice: "fetch it with 'image-sync --update', or start its project"}
}

// bring does the item's action. What a registry fails to give comes from the
// active node.
func (f *fetcher) bring(ctx context.Context, w *want, here docker.Image, item *Item) error {
	if item.Action == Tag {
		return f.tag(ctx, w, w.image.ID)
	}
	need := missingBytes(w.image, here)
	f.progress.Start(w.ref, w.image.Size)
	defer func() { f.progress.Done(item) }()
	if item.Action == Pull {
		room, err := f.space.take(w.ref, need)
		if err != nil {
			return err
		}
		err = f.pull(ctx, w, item)
		room()
		if err == nil || !f.canCopy(w) || ctx.Err() != nil || kindOf(err) == full || kindOf(err) == noEngine {
			return err
		}
		item.Warning = err.Error()
		item.Action = Copy
	}
	// The engine unpacks the stream beside its layers first.
	room, err := f.space.take(w.ref, 2*need)
	if err != nil {
		return err
	}
	defer room()
	return f.copy(ctx, w, item)
}

// canCopy reports whether the active node could give the image. A name with a
// digest is one that only a pull from its registry makes.
func (f *fetcher) canCopy(w *want) bool {
	return f.source != nil && w.image.ID != "" && w.target.Digest == "" && f.right(w, w.image)
}

// pull has the engine pull the active node's version, or the newest.
func (f *fetcher) pull(ctx context.Context, w *want, item *Item) error {
	from := w.target
	if item.Digest != "" {
		from = from.at(item.Digest) // the registry has just said so, or the active node
	} else if origin, known := w.origin(); known {
		from = origin
	}
	item.From = from.Host
	if why := f.pauses.givenUp(from.Host); why != nil && f.canCopy(w) {
		return fmt.Errorf("pull %s: its registry has just failed: %w", from, why)
	}
	_, err := f.retry(ctx, w, item, func() (string, error) {
		auth, err := f.registry.header(ctx, from.Host)
		if err != nil {
			return "", err
		}
		return "", f.node.Engine.Pull(ctx, docker.Pull{
			Repository: from.Repository, Tag: from.version(), Platform: w.platform, Auth: auth,
			Stall:    f.node.Config.Images.Stall,
			Progress: func(layer string, bytes, total int64) { f.progress.Moved(w.ref, layer, bytes, total) },
		})
	})
	if err != nil {
		if k := kindOf(err); k == limited || k == down {
			f.pauses.giveUp(from.Host, err)
		}
		return err
	}
	got, err := f.node.Engine.InspectImage(ctx, from.String())
	if err != nil {
		return err
	}
	if got.Incomplete() {
		return incomplete(w.ref)
	}
	if from == w.target {
		return nil
	}
	return f.tag(ctx, w, got.ID)
}

// copy has the active node save the image and the engine load it.
func (f *fetcher) copy(ctx context.Context, w *want, item *Item) error {
	item.From = f.source.node.Name
	var names []string
	err := f.node.Peers.Export(ctx, f.source.node, w.image.ID, func(in io.Reader) error {
		var err error
		names, err = f.node.Engine.Load(ctx, w.ref, in, f.node.Config.Images.Stall, func(layer string, bytes, _ int64) {
			item.Bytes = bytes
			f.progress.Moved(w.ref, layer, bytes, w.image.Size)
		})
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range append([]string{w.image.ID}, names...) {
		got, err := f.inspect(ctx, id)
		if err != nil {
			return err
		}
		if got.Same(w.image) {
			return f.tag(ctx, w, got.ID)
		}
	}
	return fmt.Errorf("copy image %s from %s: the engine does not have it afterwards", w.ref, f.source.node.Name)
}
