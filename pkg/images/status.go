package images

import (
	"context"
	"strings"

	"github.com/understudy-ha/understudy/pkg/images/record"
)

// Status is what the last run wanted, and what is here now.
type Status struct {
	record.Record
	Node string `json:"node"`
	// Never says that there was no run yet.
	Never bool `json:"never,omitempty"`
}

// Status looks at what is here now of what the last run wanted. It asks no
// other node.
func (n *Node) Status(ctx context.Context) (Status, error) {
	s := Status{Node: n.Self.Name}
	var found bool
	var err error
	if s.Record, found, err = record.Read(n.State); err != nil || !found {
		s.Never = !found
		return s, err
	}
	return s, s.LookAgain(ctx, n.Engine)
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
