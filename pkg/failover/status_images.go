package failover

import (
	"context"
	"time"

	"github.com/understudy-ha/understudy/pkg/images/record"
)

// ImagesStatus is the last result of image-sync, brought up to date.
type ImagesStatus struct {
	// Never: image-sync has not run on this node yet.
	Never bool `json:"never,omitempty"`
	// Time is when it last ran, LastSuccess when it last fetched everything, and
	// Active the node that it followed then.
	Time        time.Time `json:"time,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	Active      string    `json:"active,omitempty"`
	// Missing are the images that are wanted and not here, each once; with a HereID,
	// another version is here. Problems keep projects from starting.
	Missing  []MissingImage `json:"missing,omitempty"`
	Problems []string       `json:"problems,omitempty"`
	Error    string         `json:"error,omitempty"`
}

// MissingImage is an image of a project that is not here.
type MissingImage = record.Image

// imagesStatus reads the last result of image-sync, and checks which missing images
// have come since, and which are gone.
func (n *Node) imagesStatus(ctx context.Context) *ImagesStatus {
	r, found, err := record.Read(n.State)
	if err != nil {
		return &ImagesStatus{Error: err.Error()}
	}
	s := &ImagesStatus{Never: !found, Time: r.Time, LastSuccess: r.LastSuccess, Active: r.Active, Problems: r.Problems}
	if err := r.LookAgain(ctx, n.Engine); err != nil {
		s.Error = err.Error()
		return s // the images that were missing then may have come
	}
	named := map[string]bool{}
	for _, image := range r.Projects {
		if !image.Here && !image.Optional && !named[image.Ref] {
			named[image.Ref] = true
			s.Missing = append(s.Missing, image)
		}
	}
	return s
}
