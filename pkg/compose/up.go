package compose

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/run"
)

const (
	// pingTimeout bounds the question whether the engine answers, which the
	// docker program would wait for without end.
	pingTimeout = 2 * time.Second
	// upGrace is how long docker compose may take to end when it is told to.
	upGrace = 2 * time.Second
)

// Up starts a project within services.start_timeout, from images that are here;
// where services.pull allows it, a missing image is fetched then. Containers
// that are as the files say are only started. Images are never built.
func (m *Manager) Up(ctx context.Context, p Project) error {
	switch {
	case p.Err != nil:
		return p.Err
	case len(p.Services) == 0:
		return nil // all of them belong to profiles that are off
	}
	if err := m.ping(ctx); err != nil {
		return &UpError{Project: p.Name, Text: err.Error(), Err: err}
	}
	limited, cancel := context.WithTimeoutCause(ctx, m.cfg.StartTimeout, errStart)
	defer cancel()
	err := m.up(limited, p, "never")
	if failed, ok := errors.AsType[*UpError](err); ok && failed.Missing && m.cfg.Pull == "missing" {
		m.log.Warn().Str("project", p.Name).Str("missing", failed.Text).Msg("an image is not here: fetching it")
		err = m.up(limited, p, "missing")
	}
	if err != nil && strings.Contains(err.Error(), "is already in use by container") && m.clear(limited, p) {
		err = m.up(limited, p, "never")
	}
	if ctx.Err() == nil {
		m.learn(ctx, p) // after a failure too: part of it may run
	}
	return err
}

// half matches the name that docker compose gives a container that is to take
// another one's place, until it does: that one's id before its own name.
var half = regexp.MustCompile(`^[0-9a-f]{12}_`)

// clear removes the containers that a docker compose which was killed has made
// and never started: it would neither continue with them nor be able to make them again.
// It reports whether there were any.
func (m *Manager) clear(ctx context.Context, p Project) bool {
	containers, err := m.containers(ctx, []Project{p})
	if err != nil {
		return false
	}
	cleared := false
	for _, c := range containers {
		if c.Project != p.Name || c.State != "created" || !half.MatchString(c.Name) {
			continue
		}
		if err := m.engine.Remove(ctx, c.ID); err != nil {
			m.log.Warn().Err(err).Str("project", p.Name).Msg("what a start that was ended has left is not removed")
			continue
		}
		m.log.Info().Str("project", p.Name).Str("container", c.Name).Msg("removed what a start that was ended has left")
		cleared = true
	}
	return cleared
}

// learn adds the containers of a project to those that are known.
func (m *Manager) learn(ctx context.Context, p Project) {
	containers, err := m.containers(ctx, []Project{p})
	if err != nil {
		m.log.Debug().Err(err).Str("project", p.Name).Msg("its containers could not be listed after the start")
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range containers {
		m.known[c.ID] = true
	}
}

// errStart tells the time for a start from the caller's own deadline.
var errStart = errors.New("services.start_timeout has passed")

func (m *Manager) ping(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	err := m.engine.Ping(limited)
	if ctx.Err() != nil {
		return context.Cause(ctx) // says nothing about the engine
	}
	return err
}

func (m *Manager) up(ctx context.Context, p Project, pull string) error {
	program, env := m.program()
	argv := []string{program, "--host", "unix://" + m.engine.Socket(), "compose", "--ansi", "never", "--progress", "quiet",
		"-p", p.Name, "--project-directory", p.Directory}
	for _, file := range p.Files {
		argv = append(argv, "-f", file)
	}
	argv = append(argv, "up", "-d", "--pull", pull, "--no-build")
	err := m.runner.Run(ctx, run.Command{Argv: argv, Env: append(env, "PWD="+p.Directory), Without: scrubbed, Grace: upGrace})
	if err == nil {
		return nil
	}
	failed := &UpError{Project: p.Name, Text: err.Error(), Err: err}
	if cause := context.Cause(ctx); cause != nil {
		failed.Text = "stopped: " + cause.Error()
		if ended, ok := errors.AsType[*run.Error](err); ok {
			if said := reason(ended.Stderr); said != "" {
				failed.Text += " (" + said + ")"
			}
		}
		return failed
	}
	if ended, ok := errors.AsType[*run.Error](err); ok {
		failed.Text = cmp.Or(reason(ended.Stderr), failed.Text)
		failed.Missing = missing(ended.Stderr)
	}
	return failed
}

// reason picks from what docker compose printed the line that says what went
// wrong; "" when there is none.
func reason(stderr string) string {
	var last string
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		if line == "" || chatter(line) {
			continue
		}
		if strings.HasPrefix(line, "Error") || strings.Contains(line, "error") || missing(line) {
			return strings.TrimPrefix(line, "Error response from daemon: ")
		}
		last = line
	}
	return last
}

// chatter says that a line only tells of progress, or warns.
func chatter(line string) bool {
	if strings.HasPrefix(line, "time=") && strings.Contains(line, "level=warning") || strings.HasPrefix(line, "WARN[") || strings.HasPrefix(line, "[+]") {
		return true
	}
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "Container", "Network", "Volume", "Image":
		fields := strings.Fields(rest) // such as "app-web-1  Started"
		return len(fields) == 2 && fields[1] != "Error"
	}
	return strings.HasPrefix(kind, "✔") || strings.HasPrefix(kind, "⠿")
}

// missing reports whether what docker compose printed is that an image is not
// here.
func missing(stderr string) bool {
	text := strings.ToLower(stderr)
	for _, says := range []string{"no such image", "image not found", "pull access denied", "manifest unknown"} {
		if strings.Contains(text, says) {
			return true
		}
	}
	return false
}
