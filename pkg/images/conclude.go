package images

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/images/record"
)

// conclude verifies and records what is here now, and removes what is not
// needed any more.
func (n *Node) conclude(ctx context.Context, o Options, r *Result, f *fetcher, projects []compose.ProjectImages, errs []error) error {
	before, err := n.LastRecord()
	if err != nil {
		n.Log.Warn().Err(err).Msg("what the last run found is not known")
	}
	if r.Projects, err = f.verify(ctx, projects, r.Images, before); err != nil {
		return err
	}
	r.Complete = record.Complete(r.Projects, r.Problems) && len(errs) == 0
	sure := len(errs) == 0
	for _, item := range r.Images {
		if item.err != nil {
			errs = append(errs, item.err)
		}
	}
	if !o.DryRun {
		if err := n.record(ctx, o, r, sure, len(errs) == 0, before.LastSuccess); err != nil {
			return err
		}
	}
	what := r.unfinished()
	if len(errs) == 0 && len(what) == 0 || o.DryRun {
		return nil
	}
	for _, err := range errs {
		if len(what) == 0 {
			what = append(what, err.Error())
		}
	}
	return &IncompleteError{What: what, errs: errs}
}

// unfinished names what is not as it should be, in one line.
func (r *Result) unfinished() []string {
	var what []string
	missing := record.Record{Projects: r.Projects}.Missing()
	for _, i := range r.Images {
		// Here, but not updated.
		if i.err != nil && !slices.Contains(missing, i.Ref) {
			what = append(what, i.Error)
		}
	}
	if len(missing) > 0 {
		what = append([]string{"missing " + strings.Join(missing, ", ")}, what...)
	}
	what = append(what, r.Problems...)
	if c := r.Checkout; c != nil && c.Left != "" {
		what = append(what, (&LeftError{Dir: c.Directory, Why: c.Left, Files: c.Files}).Error())
	} else if c != nil && c.Error != "" {
		what = append(what, c.Error)
	}
	return what
}

// record writes what is here for other programs, and prunes. While names are
// not known for sure nothing is removed.
func (n *Node) record(ctx context.Context, o Options, r *Result, sure, good bool, lastSuccess time.Time) error {
	last := record.Record{Time: n.Now(), LastSuccess: lastSuccess, Complete: r.Complete, Active: r.Active, Projects: r.Projects, Problems: r.Problems}
	if good && r.Complete {
		last.LastSuccess = last.Time
	}
	if err := record.Write(n.State, last); err != nil {
		return err
	}
	var b brought
	if _, err := n.State.Read(broughtName, &b); err != nil {
		return err
	}
	b.mark(r.Projects, n.Now())
	var pruneErr error
	if sure && r.Complete {
		r.Removed, pruneErr = n.prune(ctx, &b, o.Keep)
	}
	return errors.Join(n.State.Write(broughtName, b), pruneErr)
}
