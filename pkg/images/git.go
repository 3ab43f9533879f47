package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/understudy-ha/understudy/pkg/run"
)

// localTime is how long a git command may take that asks no other machine.
const localTime = time.Minute

// git runs the git program in one checkout.
type git struct {
	runner run.Programs
	dir    string
	prefix []string // what makes us the checkout's owner
	env    []string
}

// never are the settings under which nothing of the checkout is run, whatever
// its own configuration says.
var never = []string{
	"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never",
	"-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "submodule.recurse=false", "-c", "fetch.recurseSubmodules=false",
	"-c", "core.quotePath=false", "-c", "advice.detachedHead=false", "-c", "merge.autoStash=false",
	"-c", "color.ui=false", "-c", "core.askPass=/bin/false",
}

// newGit prepares git for a checkout. Root works in it as its owner: with that
// user's keys, so that the files stay that user's, and what that user may have
// set in git's configuration is not done as root.
func newGit(runner run.Programs, dir string) (*git, error) {
	g := &git{runner: runner, dir: dir, env: []string{
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=/bin/false", "SSH_ASKPASS=/bin/false", "SSH_ASKPASS_REQUIRE=force",
		"GIT_OPTIONAL_LOCKS=0", "GIT_EDITOR=/bin/false", "LC_ALL=C", "GIT_PAGER=cat",
	}}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("look at the checkout: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if os.Geteuid() != 0 {
		return g, nil
	}
	home := "/root"
	if ok && owner.Uid != 0 {
		uid, gid := strconv.Itoa(int(owner.Uid)), strconv.Itoa(int(owner.Gid))
		groups := "--clear-groups"
		home = "/nonexistent"
		if who, err := user.LookupId(uid); err == nil {
			gid, home, groups = who.Gid, who.HomeDir, "--init-groups"
			g.env = append(g.env, "USER="+who.Username, "LOGNAME="+who.Username)
		}
		// Another user's process loses the signal that it gets when we die.
		g.prefix = []string{"setpriv", "--pdeathsig", "KILL", "--reuid", uid, "--regid", gid, groups, "--"}
	}
	g.env = append(g.env, "HOME="+home)
	return g, nil
}

// run runs git and returns what it printed.
func (g *git) run(ctx context.Context, timeout time.Duration, args ...string) (string, error) {
	var out bytes.Buffer
	argv := append(append(append(append([]string{}, g.prefix...), "git", "-C", g.dir), never...), args...)
	err := g.runner.Run(ctx, run.Command{Argv: argv, Timeout: timeout, Stdout: &out, Env: g.env,
		Without: []string{"GIT_", "HOME=", "USER=", "LOGNAME=", "XDG_", "SSH_ASKPASS", "LC_ALL="}})
	return strings.TrimRight(out.String(), "\n"), err
}

// local runs a git command that asks no other machine.
func (g *git) local(ctx context.Context, args ...string) (string, error) {
	out, err := g.run(ctx, localTime, args...)
	if err != nil {
		return out, &GitError{Dir: g.dir, Op: args[0], Err: err}
	}
	return out, nil
}

// yes runs a git command that says yes by 0 and no by 1.
func (g *git) yes(ctx context.Context, args ...string) (bool, error) {
	_, err := g.run(ctx, localTime, args...)
	if failed, ok := errors.AsType[*run.Error](err); ok && failed.ExitCode == 1 {
		return false, nil
	}
	if err != nil {
		return false, &GitError{Dir: g.dir, Op: args[0], Err: err}
	}
	return true, nil
}

// GitError is a git command that failed.
type GitError struct {
	Dir string
	Op  string // such as fetch
	Err error
}

func (e *GitError) Error() string {
	text := e.Err.Error()
	if failed, ok := errors.AsType[*run.Error](e.Err); ok {
		switch {
		case failed.TimedOut:
			text = fmt.Sprintf("no end after %s", failed.Elapsed.Round(100*time.Millisecond))
		case failed.Stderr != "":
			text = firstFatal(failed.Stderr)
		}
	}
	return fmt.Sprintf("git %s in %s: %s", e.Op, e.Dir, text)
}

func (e *GitError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *GitError) Hint() string {
	failed, ok := errors.AsType[*run.Error](e.Err)
	switch {
	case !ok:
		return ""
	case failed.TimedOut:
		return "see that the repository's server can be reached; images.fetch_timeout is how long is waited"
	case strings.Contains(failed.Stderr, ".lock"):
		return "if no git runs there any more, remove the lock file that it names"
	case e.Op == "fetch":
		return fmt.Sprintf("try it by hand, as the checkout's owner: git -C %s fetch", e.Dir)
	}
	return ""
}

// firstFatal is the line of git's that says why.
func firstFatal(stderr string) string {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	for _, line := range lines {
		for _, mark := range []string{"fatal: ", "error: "} {
			if text, found := strings.CutPrefix(line, mark); found {
				return text
			}
		}
	}
	return lines[len(lines)-1]
}
