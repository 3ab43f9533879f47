package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/once"
	"github.com/understudy-ha/understudy/pkg/state"
)

const (
	checkContainer = "container"
	checkPing      = "ping"
)

// engineDown is the verdict of a container of which the engine says nothing, because
// it does not answer or refuses the call, until it is known whether the service
// answers.
const engineDown Verdict = "engine down"

// engineSilent is said of an engine that does not answer at all.
const engineSilent = "the Docker Engine does not answer"

// Times that a single thing may take, so that one which hangs is told from
// those that answer. All are below Limit.
const (
	engineTimeout = 500 * time.Millisecond
	pingTimeout   = 500 * time.Millisecond
)

// container looks at the container that must run on an active node, and keeps
// it in seen when it does.
func (p *Probe) container(ctx context.Context, seen *atomic.Pointer[docker.Details]) (Verdict, string) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	c, err := p.Engine.Inspect(ctx, p.Config.Probe.Container)
	switch {
	case docker.IsDown(err):
		return engineDown, engineSilent
	case docker.NotFound(err):
		return Failed, "there is no container " + p.Config.Probe.Container
	case err != nil: // it says nothing of the container
		return engineDown, refusal(err)
	case c.Paused: // before Running, which it says too
		return Failed, p.Config.Probe.Container + " is paused"
	case c.Restarting:
		return Failed, p.Config.Probe.Container + " is being restarted again and again"
	case !c.Running:
		return Failed, fmt.Sprintf("%s does not run (%s, exit code %d)", p.Config.Probe.Container, c.State, c.ExitCode)
	case c.Health == "unhealthy":
		return Failed, p.Config.Probe.Container + " is unhealthy"
	}
	seen.Store(&c)
	if c.Health == "starting" {
		return Passed, p.Config.Probe.Container + " runs, its health is not known yet"
	}
	return Passed, p.Config.Probe.Container + " runs"
}

// refusal is what an engine says that answers and does not do what it is asked, with
// the way out where one is known.
func refusal(err error) string {
	failed, ok := errors.AsType[*docker.Error](err)
	if !ok || failed.Hint() == "" {
		return err.Error()
	}
	return err.Error() + ": " + failed.Hint()
}

// ping asks the service itself. After a promotion it may be silent for a
// while, until it has answered once; the time counts from the promotion and not
// from the container's start, since one that crashes again and again is always
// young.
func (p *Probe) ping(ctx context.Context, role state.RoleFile, answered time.Time) (Verdict, string) {
	err := get(ctx, p.Config.Probe.Ping, "")
	if err == nil {
		return Passed, "answers"
	}
	left := p.Config.Probe.Grace - p.Now().Sub(role.Since)
	if role.Role == state.RoleActive && answered.Before(role.Since) && left > 0 && left <= p.Config.Probe.Grace {
		return Warned, fmt.Sprintf("%v; active for a moment only, so it has %d s more to begin", err, int(left.Seconds()))
	}
	return Failed, err.Error()
}

// get asks for an answer of 200. at is the address to connect to; empty: that of
// the target.
func get(ctx context.Context, target, at string) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	resp, err := once.RoundTrip(req, dialer(req.URL, at))
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%s: no answer in time", target)
		}
		return fmt.Errorf("%s: %w", target, err)
	}
	_ = resp.Body.Close() // the status is all that matters
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", target, resp.StatusCode)
	}
	return nil
}

// dialer connects to an address, by default that of the target. Whether it serves
// is the question, not who it is, so the certificate does not matter.
func dialer(target *url.URL, at string) once.Dial {
	at = cmp.Or(at, net.JoinHostPort(target.Hostname(), portOf(target)))
	return func(ctx context.Context) (net.Conn, error) {
		if target.Scheme == "https" {
			encrypted := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
			return encrypted.DialContext(ctx, "tcp", at)
		}
		return (&net.Dialer{}).DialContext(ctx, "tcp", at)
	}
}

func portOf(target *url.URL) string {
	if target.Scheme == "https" {
		return cmp.Or(target.Port(), "443")
	}
	return cmp.Or(target.Port(), "80")
}

// engine reports whether the Docker Engine answers, and accepts what this program asks.
func (p *Probe) engine(ctx context.Context) (Verdict, string) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	if err := p.Engine.Ping(ctx); docker.IsRefused(err) {
		return Failed, refusal(err)
	} else if err != nil {
		return Failed, err.Error()
	}
	return Passed, "answers"
}

// project is as much of state projects.json as matters here.
type project struct {
	Name     string `json:"name"`
	Services []struct {
		Name      string `json:"name"`
		Container string `json:"container"`
		Image     string `json:"image"`
	} `json:"services"`
}

// image reports whether the service could be started without the network.
func (p *Probe) image(ctx context.Context) (Verdict, string) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	name := p.Config.Probe.Container
	ref, shown := "", ""
	c, err := p.Engine.Inspect(ctx, name)
	switch {
	case err == nil:
		ref, shown = c.ImageID, c.Image
	case docker.NotFound(err):
		if shown = p.configured(name); shown == "" {
			return Skipped, "it is not known yet which image " + name + " has"
		}
		ref = shown
	default:
		return Failed, err.Error()
	}
	here, err := p.Engine.HasImage(ctx, ref)
	switch {
	case err != nil:
		return Failed, err.Error()
	case !here:
		return Failed, shown + " is not on this node"
	}
	return Passed, shown + " is here"
}

// configured returns the image of a container that has not been made yet, from
// what was recorded of the projects; "" when it is not known.
func (p *Probe) configured(container string) string {
	var projects []project
	if found, err := p.State.Read("projects", &projects); err != nil || !found {
		return ""
	}
	for _, one := range projects {
		for _, s := range one.Services {
			if s.Container == container || s.Container == "" && container == one.Name+"-"+s.Name+"-1" {
				return s.Image
			}
		}
	}
	return ""
}
