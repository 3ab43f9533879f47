package images

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/images/record"
	"github.com/understudy-ha/understudy/pkg/state"
)

// Options say what one run does.
type Options struct {
	DryRun bool
	// Update has the active node pull what its registries have newer.
	Update bool
	// From names the node to follow, whatever its role.
	From string
	// Keep is how many superseded versions stay.
	Keep int
	// NoCheckout leaves the checkout alone.
	NoCheckout bool
	Progress   Progress // may be nil
}

// Result is what a run has done.
type Result struct {
	Node    string     `json:"node"`
	Role    state.Role `json:"role"`
	Active  string     `json:"active,omitempty"` // the node that is followed
	DryRun  bool       `json:"dry_run,omitempty"`
	Started time.Time  `json:"started"`
	Seconds float64    `json:"seconds"`
	// Checkout is nil where it was to be left alone.
	Checkout *Checkout      `json:"checkout,omitempty"`
	Images   []*Item        `json:"images"`
	Projects []record.Image `json:"projects"`
	// Problems keep projects from starting, beside missing images.
	Problems []string `json:"problems,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	Removed  []string `json:"removed,omitempty"`
	// Complete says that every project could start with the network unplugged.
	Complete bool `json:"complete"`

	policy policy
	source *source // nil: no active node is known
}

// IncompleteError says what is still not as it should be.
type IncompleteError struct {
	What []string
	errs []error
}

func (e *IncompleteError) Error() string { return "not complete: " + strings.Join(e.What, "; ") }

// Unwrap returns what went wrong, for its hints.
func (e *IncompleteError) Unwrap() []error { return e.errs }

// ExitCode is 3: done in part.
func (e *IncompleteError) ExitCode() int { return exit.Partial }

// Sync brings the checkout and the images here. The result is nil when the run
// did not begin.
func (n *Node) Sync(ctx context.Context, o Options) (*Result, error) {
	lock, err := n.State.Lock("images")
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	if o.Progress == nil {
		o.Progress = silent{}
	}
	r := &Result{Node: n.Self.Name, DryRun: o.DryRun, Started: n.Now(), Images: []*Item{}}
	began := time.Now()
	err = n.sync(ctx, o, r)
	r.Seconds = time.Since(began).Seconds()
	return r, err
}

func (n *Node) sync(ctx context.Context, o Options, r *Result) error {
	if err := n.choose(ctx, o, r); err != nil {
		return err
	}
	var errs []error
	if !o.NoCheckout {
		var err error
		if r.Checkout, err = updateCheckout(ctx, n.Runner, n.Config.Services.Directory, n.Config.Images, o.DryRun); err != nil {
			errs = append(errs, err)
		}
	}
	f, err := n.newFetcher(ctx, o, r)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	projects, err := n.Projects(ctx)
	if err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, r.problems(projects)...)
	wants, bad := collect(projects)
	errs = append(errs, bad...)
	f.aim(wants, r)
	r.Images = f.all(ctx, wants)
	if ctx.Err() != nil {
		return fmt.Errorf("bring images here: %w", context.Cause(ctx))
	}
	for _, item := range r.Images {
		if item.err != nil && kindOf(item.err) == noEngine {
			return item.err
		}
	}
	return n.conclude(ctx, o, r, f, projects, errs)
}

// newFetcher asks the engine about itself, and gets ready.
func (n *Node) newFetcher(ctx context.Context, o Options, r *Result) (*fetcher, error) {
	info, err := n.Engine.Info(ctx)
	if err != nil {
		return nil, err
	}
	f := &fetcher{node: n, policy: r.policy, source: r.source, info: info, pauses: &pauses{},
		space: &space{free: n.Free, folder: info.Root}, progress: o.Progress, dryRun: o.DryRun}
	f.registry = &registries{credentials: n.Credentials.For, insecure: info.Insecure, pauses: f.pauses, now: n.Now}
	return f, nil
}

// choose finds out what this node is and whom it follows.
func (n *Node) choose(ctx context.Context, o Options, r *Result) error {
	role, err := n.State.Role()
	if err != nil {
		return err
	}
	r.Role = role.Role
	if role.Boot != "" && role.Boot != bootID() {
		r.Role = state.RoleUnknown // what it was before the last boot
	}
	active := r.Role == state.RoleActive || r.Role == state.RolePromoting
	switch {
	case o.From != "":
		if r.source, err = n.from(ctx, o.From); err != nil {
			return err
		}
	case active:
		r.policy = look
	default:
		if r.source, err = n.active(ctx); err != nil {
			r.policy = fill
			r.Warnings = append(r.Warnings, fmt.Sprintf("no active node to follow, so only what is missing is pulled, as its tag stands now: %s", strings.ReplaceAll(err.Error(), "\n", "; ")))
		}
	}
	if r.source != nil {
		r.Active = r.source.node.Name
	}
	if o.Update {
		if r.source != nil {
			return &Refusal{What: fmt.Sprintf("%s follows %s: an update here would be an upgrade at the next takeover", n.Self.Name, r.Active),
				Advice: "run 'image-sync --update' on the active node, restart its projects, and then 'image-sync' here"}
		}
		r.policy = update
	}
	return nil
}

// problems takes note of what keeps projects from starting.
func (r *Result) problems(projects []compose.ProjectImages) (errs []error) {
	for _, p := range projects {
		if p.Err != nil {
			r.Problems = append(r.Problems, p.Err.Error())
			errs = append(errs, p.Err)
		}
		for _, text := range p.Problems {
			r.Problems = append(r.Problems, "project "+p.Name+": "+text)
		}
	}
	return errs
}

// aim says which image is wanted under each name.
func (f *fetcher) aim(wants []*want, r *Result) {
	if f.source == nil {
		return
	}
	for _, problem := range f.source.manifest.Problems {
		r.Warnings = append(r.Warnings, fmt.Sprintf("not all images of %s are known: %s", r.Active, problem))
	}
	for _, w := range wants {
		var conflict string
		if w.image, conflict = f.source.manifest.wanted(w.ref); conflict != "" {
			r.Warnings = append(r.Warnings, conflict)
		}
	}
}

// all does what is to be done about all images, several at the same time.
func (f *fetcher) all(ctx context.Context, wants []*want) []*Item {
	f.progress.Planned(len(wants))
	items := make([]*Item, len(wants))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(f.node.Config.Images.Parallel, len(wants)) {
		workers.Go(func() {
			for i := range next {
				items[i] = f.one(ctx, wants[i])
			}
		})
	}
	for i := range wants {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	f.again(ctx, wants, items)
	return slices.DeleteFunc(items, func(i *Item) bool { return i == nil })
}

// again tries once more, one by one, what has failed while others came: the
// engine fetches a layer that images share once for all of them, and what was
// wrong with one has failed them all.
func (f *fetcher) again(ctx context.Context, wants []*want, items []*Item) {
	served := map[string]bool{}
	for _, i := range items {
		if i != nil && i.err == nil && i.Action == Pull {
			served[i.From] = true
		}
	}
	for n, i := range items {
		if i == nil || i.err == nil || i.Action != Pull || ctx.Err() != nil {
			continue
		}
		if k := kindOf(i.err); k == corrupt || k == down && served[i.From] {
			items[n] = f.one(ctx, wants[n])
			items[n].Attempts += i.Attempts
		}
	}
}
