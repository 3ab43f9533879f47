package images

import (
	"context"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/docker"
)

// Status is what the last run wanted, and what is here now.
type Status struct {
	Record
	Node string `json:"node"`
	// Never says that there was no run yet.
	Never bool `json:"never,omitempty"`
}

// Status looks at what is here now of what the last run wanted. It asks no
// other node.
func (n *Node) Status(ctx context.Context) (Status, error) {
	s := Status{Node: n.Self.Name}
	found, err := n.State.Read(recordName, &s.Record)
	if err != nil {
		return s, err
	}
	s.Never = !found
	for i := range s.Projects {
		one := &s.Projects[i]
		image, err := n.Engine.InspectImage(ctx, one.Ref)
		if err != nil && !docker.NotFound(err) {
			return s, err
		}
		if image.ID != one.HereID { // it has changed since
			one.HereID = image.ID
			one.Here = image.ID != "" && (one.ID == "" || image.ID == one.ID || one.Digest != "" && hasDigest(image, one.Digest))
		}
	}
	s.Complete = !s.Never && complete(s.Projects, s.Problems)
	return s, nil
}

// Err says what is missing; nil when nothing is.
func (s Status) Err() error {
	missing := s.Missing()
	switch {
	case s.Never:
		return &IncompleteError{What: []string{"image-sync has not run yet"}}
	case len(missing) > 0:
		return &IncompleteError{What: []string{"missing " + strings.Join(missing, ", ")}}
	case len(s.Problems) > 0:
		return &IncompleteError{What: s.Problems}
	}
	return nil
}

func hasDigest(i docker.Image, digest string) bool {
	return slices.ContainsFunc(i.Digests, func(d string) bool { return strings.HasSuffix(d, "@"+digest) })
}
