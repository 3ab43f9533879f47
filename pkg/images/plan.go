package images

import (
	"strings"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/docker"
)

// Action is what is done about one image.
type Action string

// The actions.
const (
	Current Action = "current" // it is here
	Ask     Action = "ask"     // ask the registry whether it has a newer one
	Tag     Action = "tag"     // it is here under another name
	Pull    Action = "pull"
	Copy    Action = "copy"    // from the active node
	Missing Action = "missing" // it is not here and not to be had
)

// want is an image that projects name, as it is to be here.
type want struct {
	ref      string
	target   target
	platform string // as the files ask for it
	projects []string
	built    bool
	off      bool // only services use it whose profiles are off
	// image is what the active node has; without ID when that is not known.
	image docker.Image
}

// collect makes one want of each image, however many projects name it. Names
// that are none are returned by what is wrong with them.
func collect(projects []compose.ProjectImages) (wants []*want, bad []error) {
	found := map[[2]string]*want{}
	for _, p := range projects {
		for _, i := range p.Images {
			t, err := parse(i.Ref)
			if err != nil {
				bad = append(bad, err)
				continue
			}
			key := [2]string{t.String(), i.Platform}
			w := found[key]
			if w == nil {
				w = &want{ref: i.Ref, target: t, platform: i.Platform, off: true}
				found[key] = w
				wants = append(wants, w)
			}
			w.projects = append(w.projects, p.Name)
			w.built = w.built || i.Built
			w.off = w.off && i.Off
		}
	}
	return wants, bad
}

// policy is what a run does about images that are here or not.
type policy int

const (
	follow policy = iota // a standby: what the active node has
	look                 // the active node: nothing is fetched
	update               // the active node: what the registry has now
	fill                 // no active node is known: only what is missing
)

// decide says what is to be done about an image. here is what its name stands
// for on this node, byID the active node's image if this node has it; both
// without ID where there is none.
func decide(w *want, p policy, here, byID docker.Image) Action {
	if w.target.Digest != "" && here.ID != "" {
		return Current // the name says which one it is
	}
	switch p {
	case look:
		if here.ID != "" {
			return Current
		}
		return Missing
	case update:
		switch {
		case here.ID == "" && w.built:
			return Missing
		case here.ID == "":
			return Pull
		case w.built:
			return Current
		}
		return Ask
	}
	if w.image.ID == "" {
		switch {
		case here.ID != "":
			return Current
		case w.built:
			return Missing
		}
		return Pull
	}
	switch {
	case here.Same(w.image), sameDigest(w.target, here, w.image):
		return Current
	case byID.ID != "":
		return Tag
	case len(w.image.Digests) > 0:
		return Pull
	}
	return Copy
}

// sameDigest reports whether both came from the registry as one version, be it
// for different kinds of machine.
func sameDigest(t target, a, b docker.Image) bool {
	digest := a.Digest(t.Repository)
	return digest != "" && digest == b.Digest(t.Repository)
}

// origin is where a registry has the active node's image: in the repository of
// its name, or else in another one.
func (w *want) origin() (target, bool) {
	if digest := w.image.Digest(w.target.Repository); digest != "" {
		return w.target.at(digest), true
	}
	for _, d := range w.image.Digests {
		if t, err := parse(d); err == nil && t.Digest != "" {
			return t, true
		}
	}
	return target{}, false
}

// fits reports whether an image is for a platform. A variant counts only where
// both name one.
func fits(image, wanted string) bool {
	a, b := strings.Split(image, "/"), strings.Split(wanted, "/")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
