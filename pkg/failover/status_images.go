package failover

import (
	"context"
	"time"

	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/images/record"
)

// ImagesStatus is what image-sync has found, and what of it is so by now.
type ImagesStatus struct {
	// Never says that it has not run on this node yet.
	Never bool `json:"never,omitempty"`
	// Time is when it ran last, LastSuccess when it last left nothing to be
	// desired, and Active the node that it followed then.
	Time        time.Time `json:"time,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	Active      string    `json:"active,omitempty"`
	// Missing are the images that are wanted and not here, each once: with a
	// HereID there is another version. Problems keep projects from starting.
	Missing  []MissingImage `json:"missing,omitempty"`
	Problems []string       `json:"problems,omitempty"`
	Error    string         `json:"error,omitempty"`
}

// MissingImage is an image of a project that is not here.
type MissingImage = record.Image

// imagesStatus reads what image-sync has written down, and looks whether what
// was missing then has come since, or what was here has gone.
func (n *Node) imagesStatus(ctx context.Context) *ImagesStatus {
	r, found, err := record.Read(n.State)
	if err != nil {
		return &ImagesStatus{Error: err.Error()}
	}
	s := &ImagesStatus{Never: !found, Time: r.Time, LastSuccess: r.LastSuccess, Active: r.Active, Problems: r.Problems}
	if err := r.LookAgain(ctx, docker.New(n.Config.Services.Socket)); err != nil {
		s.Error = err.Error()
		return s // what was missing then is not known to be so now
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
