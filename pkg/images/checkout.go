package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/run"
)

// Checkout is what became of the folder of the projects' files.
type Checkout struct {
	Directory string `json:"directory"`
	// Skipped says that the folder is no checkout, or nothing was to be done
	// about it.
	Skipped string `json:"skipped,omitempty"`
	Branch  string `json:"branch,omitempty"`
	From    string `json:"from,omitempty"` // the commit before
	To      string `json:"to,omitempty"`   // the commit now
	// Commits are those that came, a line each, and Changed the files, as git
	// has them: a letter, a tab and a name.
	Commits []string `json:"commits,omitempty"`
	Changed []string `json:"changed,omitempty"`
	// Dirty are the files that were changed here and not committed.
	Dirty []string `json:"dirty,omitempty"`
	// Left says why what has come was not taken, and Files which ones are the
	// reason.
	Left  string   `json:"left,omitempty"`
	Files []string `json:"files,omitempty"`
	// Error is what failed.
	Error string `json:"error,omitempty"`
}

// Current reports whether the checkout is what its branch is.
func (c *Checkout) Current() bool { return c == nil || c.Left == "" && c.Error == "" }

// LeftError is a checkout that was left as it is.
type LeftError struct {
	Dir, Why string
	Files    []string
}

func (e *LeftError) Error() string {
	text := fmt.Sprintf("checkout %s is left as it is: %s", e.Dir, e.Why)
	if len(e.Files) > 0 {
		text += ": " + some(e.Files)
	}
	return text
}

// Hint says what to do next.
func (e *LeftError) Hint() string {
	return fmt.Sprintf("look at it with 'git -C %s status'; commit and push what is to stay, and undo the rest", e.Dir)
}

// some names the first of many.
func some(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// updateCheckout fetches the branch of the checkout and fast-forwards to it.
// The result is never nil; what it could not do is in it and in the error.
func updateCheckout(ctx context.Context, runner run.Programs, dir string, cfg config.Images, dryRun bool) (*Checkout, error) {
	c := &Checkout{Directory: dir}
	if dir == "" {
		c.Skipped = "services.directory is not set"
		return c, nil
	}
	err := c.update(ctx, runner, cfg, dryRun)
	if left, ok := errors.AsType[*LeftError](err); ok {
		c.Left, c.Files = left.Why, left.Files
	} else if err != nil {
		c.Error = err.Error()
	}
	return c, err
}

func (c *Checkout) update(ctx context.Context, runner run.Programs, cfg config.Images, dryRun bool) error {
	if !isCheckout(c.Directory) {
		c.Skipped = "it is no git checkout"
		return nil
	}
	g, err := newGit(runner, c.Directory)
	if err != nil {
		return err
	}
	if c.From, err = g.local(ctx, "rev-parse", "--verify", "HEAD"); err != nil {
		return err
	}
	c.To = c.From
	if err := c.dirty(ctx, g); err != nil {
		return err
	}
	remote, branch, err := c.upstream(ctx, g, cfg.Branch)
	if err != nil {
		return err
	}
	if dryRun {
		c.Skipped = "a dry run fetches nothing"
		return nil
	}
	tracking := "refs/remotes/" + remote + "/" + branch
	before, err := g.yes(ctx, "show-ref", "--verify", "--quiet", tracking)
	if err != nil {
		return err
	}
	var known string
	if before {
		if known, err = g.local(ctx, "rev-parse", "--verify", tracking); err != nil {
			return err
		}
	}
	if err := fetch(ctx, g, cfg.FetchTimeout, remote, branch, tracking); err != nil {
		return err
	}
	return c.forward(ctx, g, tracking, known, cfg.VerifyCommits)
}

// isCheckout reports whether a folder is in a checkout. git itself is not asked:
// it may not be installed where there is none.
func isCheckout(dir string) bool {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}

// dirty finds out which files were changed here.
func (c *Checkout) dirty(ctx context.Context, g *git) error {
	out, err := g.local(ctx, "status", "--porcelain=v1", "-z", "--untracked-files=no", "--ignore-submodules=all", "--no-renames")
	if err != nil {
		return err
	}
	for entry := range strings.SplitSeq(out, "\x00") {
		if len(entry) > 3 {
			c.Dirty = append(c.Dirty, entry[3:])
		}
	}
	return nil
}

// upstream returns the remote and its branch that the checkout follows.
func (c *Checkout) upstream(ctx context.Context, g *git, wanted string) (remote, branch string, err error) {
	is, err := g.yes(ctx, "symbolic-ref", "--quiet", "HEAD")
	if err != nil {
		return "", "", err
	}
	if !is {
		return "", "", &LeftError{Dir: c.Directory, Why: "no branch is checked out"}
	}
	if c.Branch, err = g.local(ctx, "symbolic-ref", "--short", "HEAD"); err != nil {
		return "", "", err
	}
	if wanted != "" && c.Branch != wanted {
		return "", "", &LeftError{Dir: c.Directory, Why: fmt.Sprintf("branch %s is checked out, not %s", c.Branch, wanted)}
	}
	remote, branch = "origin", c.Branch
	if set, err := g.run(ctx, localTime, "config", "branch."+c.Branch+".remote"); err == nil && set != "" {
		remote = set
	}
	if set, err := g.run(ctx, localTime, "config", "branch."+c.Branch+".merge"); err == nil && set != "" {
		branch = strings.TrimPrefix(set, "refs/heads/")
	}
	if _, err := g.run(ctx, localTime, "config", "remote."+remote+".url"); err != nil {
		return "", "", &LeftError{Dir: c.Directory, Why: fmt.Sprintf("there is no remote %s to fetch from", remote)}
	}
	return remote, branch, nil
}

// fetch takes the branch over, also where its history was rewritten: what is
// checked out is not touched.
func fetch(ctx context.Context, g *git, timeout time.Duration, remote, branch, tracking string) error {
	_, err := g.run(ctx, timeout, "fetch", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--quiet", "--end-of-options",
		remote, "+refs/heads/"+branch+":"+tracking)
	if err != nil {
		return &GitError{Dir: g.dir, Op: "fetch", Err: err}
	}
	return nil
}

// forward moves to the fetched commit, if that is the same history.
func (c *Checkout) forward(ctx context.Context, g *git, tracking, known string, verify bool) error {
	newest, err := g.local(ctx, "rev-parse", "--verify", tracking+"^{commit}")
	if err != nil {
		return err
	}
	contained, err := g.yes(ctx, "merge-base", "--is-ancestor", newest, "HEAD")
	if err != nil || contained {
		return err // the checkout has every fetched commit, and maybe more
	}
	ahead, err := g.yes(ctx, "merge-base", "--is-ancestor", "HEAD", newest)
	if err != nil {
		return err
	}
	if !ahead {
		return c.diverged(ctx, g, newest, known)
	}
	if len(c.Dirty) > 0 {
		return &LeftError{Dir: c.Directory, Why: "there are newer commits, but files are changed here and not committed", Files: c.Dirty}
	}
	if verify {
		if _, err := g.run(ctx, localTime, "verify-commit", newest); err != nil {
			return &LeftError{Dir: c.Directory, Why: "commit " + short(newest) + " has no signature that git accepts (git verify-commit)"}
		}
	}
	// What has begun is brought to its end, also when we are told to stop.
	whole := context.WithoutCancel(ctx)
	if _, err := g.run(whole, localTime, "merge", "--ff-only", "--no-verify", "--quiet", newest); err != nil {
		return &GitError{Dir: c.Directory, Op: "merge --ff-only", Err: err}
	}
	c.To = newest
	return c.describe(whole, g)
}

// diverged says which files differ for what reason.
func (c *Checkout) diverged(ctx context.Context, g *git, newest, known string) error {
	why := "it has commits that its remote has not, and the other way round"
	if known != "" {
		if kept, err := g.yes(ctx, "merge-base", "--is-ancestor", known, newest); err == nil && !kept {
			why = "the history of its branch was rewritten at the remote"
		}
	}
	var files []string
	if out, err := g.local(ctx, "diff", "--no-ext-diff", "--no-textconv", "--name-only", "-z", newest+"...HEAD"); err == nil {
		files = slices.DeleteFunc(strings.Split(out, "\x00"), func(s string) bool { return s == "" })
	}
	return &LeftError{Dir: c.Directory, Why: why, Files: files}
}

// describe says what has come.
func (c *Checkout) describe(ctx context.Context, g *git) error {
	commits, err := g.local(ctx, "log", "--format=%h %s", "--no-show-signature", "--max-count=20", c.From+".."+c.To)
	if err != nil {
		return err
	}
	files, err := g.local(ctx, "diff", "--no-ext-diff", "--no-textconv", "--name-status", "--no-renames", c.From, c.To)
	if err != nil {
		return err
	}
	c.Commits, c.Changed = lines(commits), lines(files)
	return nil
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func short(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(12, len(id))]
}
