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

// engineDown is the provisional verdict of a container if the engine does not answer or
// refuses the call. The answer of the service decides.
const engineDown Verdict = "engine down"

// engineSilent is the text for an engine that does not answer.
const engineSilent = "the Docker Engine does not answer"

// Limits of single checks, so that a hanging one is identified. All are below Limit.
const (
	engineTimeout = 500 * time.Millisecond
	pingTimeout   = 500 * time.Millisecond
)

// container checks the container that must run on an active node, and stores it in seen
// if it runs.
func (p *Probe) container(ctx context.Context, seen *atomic.Pointer[docker.Details]) (Verdict, string) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	c, err := p.Engine.Inspect(ctx, p.Config.Probe.Container)
	switch {
	case docker.IsDown(err):
		return engineDown, engineSilent
	case docker.NotFound(err):
		return Failed, "no container " + p.Config.Probe.Container
	case err != nil: // no evidence about the container
		return engineDown, refusal(err)
	case c.Paused: // before Running, which is also set
		return Failed, p.Config.Probe.Container + " is paused"
	case c.Restarting:
		return Failed, p.Config.Probe.Container + " keeps restarting"
	case !c.Running:
		return Failed, fmt.Sprintf("%s is not running (%s, exit code %d)", p.Config.Probe.Container, c.State, c.ExitCode)
	case c.Health == "unhealthy":
		return Failed, p.Config.Probe.Container + " is unhealthy"
	}
	seen.Store(&c)
	if c.Health == "starting" {
		return Passed, p.Config.Probe.Container + " is running, its health is unknown yet"
	}
	return Passed, p.Config.Probe.Container + " is running"
}

// refusal returns the error of an engine that refuses a call, with its hint.
func refusal(err error) string {
	failed, ok := errors.AsType[*docker.Error](err)
	if !ok || failed.Hint() == "" {
		return err.Error()
	}
	return err.Error() + ": " + failed.Hint()
}

// ping asks the service itself. After a promotion it may be silent for the grace period
// until its first answer. The period counts from the promotion, not from the
// container's start, because a crashing container is always young.
func (p *Probe) ping(ctx context.Context, role state.RoleFile, answered time.Time) (Verdict, string) {
	err := get(ctx, p.Config.Probe.Ping, "")
	if err == nil {
		return Passed, "answers"
	}
	left := p.Config.Probe.Grace - p.Now().Sub(role.Since)
	if role.Role == state.RoleActive && answered.Before(role.Since) && left > 0 && left <= p.Config.Probe.Grace {
		return Warned, fmt.Sprintf("%v; just active, %d s left to start", err, int(left.Seconds()))
	}
	return Failed, err.Error()
}

// get requests target and expects status 200. at is the address to connect to; "" means
// that of the target.
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
	_ = resp.Body.Close() // only the status matters
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", target, resp.StatusCode)
	}
	return nil
}

// dialer connects to an address, by default that of the target. It ignores the
// certificate: the check is about serving, not about identity.
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

// engine checks that the Docker Engine answers and accepts our calls.
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

// project is the part of projects.json that this check needs.
type project struct {
	Name     string `json:"name"`
	Services []struct {
		Name      string `json:"name"`
		Container string `json:"container"`
		Image     string `json:"image"`
	} `json:"services"`
}

// image checks that the service can start without the network.
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
			return Skipped, "the image of " + name + " is unknown yet"
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
		return Failed, shown + " is missing on this node"
	}
	return Passed, shown + " is present"
}

// configured returns the image of a container that does not exist yet, from the record
// of the projects, or "".
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
