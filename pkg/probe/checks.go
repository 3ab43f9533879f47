package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/once"
	"github.com/understudy-ha/understudy/pkg/state"
)

const (
	checkContainer = "container"
	checkPing      = "ping"
)

// engineDown is the verdict of a container whose engine does not answer, until
// it is known whether the service does.
const engineDown Verdict = "engine down"

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
		return engineDown, "the Docker Engine does not answer"
	case docker.NotFound(err):
		return Failed, "there is no container " + p.Config.Probe.Container
	case err != nil:
		return Failed, err.Error()
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

// engine says whether the Docker Engine answers.
func (p *Probe) engine(ctx context.Context) (Verdict, string) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	if err := p.Engine.Ping(ctx); err != nil {
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

// image says whether the service could be started without the network.
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

// lease looks whether an active node may still be one. It is the watcher that
// renews the lease and gives up in time; one that is dead, or hangs, does not.
func (p *Probe) lease() (Verdict, string) {
	dir, err := state.Open(p.Config.RunDir)
	if err != nil {
		return Failed, err.Error()
	}
	l, found, err := dir.Lease(p.Boot)
	if err != nil {
		return Failed, err.Error()
	}
	if !found {
		return Warned, "this node is active and has no lease yet"
	}
	now, err := state.SinceBoot()
	if err != nil {
		return Failed, err.Error()
	}
	switch left := l.Left(now); {
	case l.Lost != "":
		return Failed, l.Lost
	case left <= p.Config.Witness.Etcd.Margin:
		return Failed, fmt.Sprintf("it ends in %d s and is not renewed", int(max(left, 0).Seconds()))
	default:
		return Passed, fmt.Sprintf("lasts for %d s unless it is renewed", int(left.Seconds()))
	}
}

// hold says whether a person has taken the node out.
func (p *Probe) hold() (Verdict, string) {
	e, found, err := p.State.Eligibility()
	if err != nil {
		return Failed, err.Error()
	}
	if found {
		for _, reason := range e.Reasons {
			if reason.Kind == state.IneligibleHold {
				return Failed, reason.Text
			}
		}
	}
	return Passed, "none"
}

// holdDown keeps a node out for a while after it lost the address by a fault,
// so that a service that fails again and again does not move it to and fro. A
// node that went into fault as a standby moves nothing, and waits for nothing.
func (p *Probe) holdDown(role state.RoleFile) (Verdict, string) {
	if role.Role != state.RoleFault || role.Transition == nil {
		return Passed, "none"
	}
	switch role.Transition.From {
	case state.RoleActive, state.RolePromoting, state.RoleDemoting:
	default:
		return Passed, "none"
	}
	left := p.Config.Probe.HoldDown - p.Now().Sub(role.Since)
	if left <= 0 || left > p.Config.Probe.HoldDown { // a clock that was set back holds nobody
		return Passed, "over"
	}
	return Failed, fmt.Sprintf("in fault since %s, out for another %d s", role.Since.Format(time.TimeOnly), int(left.Round(time.Second).Seconds()))
}

// poolsOf returns the pools that must be healthy, each with the name it may
// have instead where the nodes' pools have different names.
func poolsOf(cfg *config.Config) [][]string {
	var list [][]string
	for _, d := range cfg.Replication.Datasets {
		name, _, _ := strings.Cut(d.Name, "/")
		target, _, _ := strings.Cut(d.TargetName(), "/")
		names := slices.Compact([]string{name, target})
		if !slices.ContainsFunc(list, func(other []string) bool { return slices.Equal(other, names) }) {
			list = append(list, names)
		}
	}
	return list
}

// pool reads a pool's state from the kernel: no process, and it does not hang
// when the pool does.
func (p *Probe) pool(names []string) (Verdict, string) {
	if _, err := os.Stat(p.Kstat); err != nil {
		return Skipped, fmt.Sprintf("the kernel shows no pools (%s)", p.Kstat)
	}
	verdict, text := Passed, ""
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(p.Kstat, name, "state"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Failed, fmt.Sprintf("%s: %v", name, err)
		}
		condition := strings.TrimSpace(string(data))
		if condition != "ONLINE" && condition != "DEGRADED" {
			return Failed, name + " is " + condition
		}
		if condition == "DEGRADED" {
			verdict = Warned
		}
		text = name + " is " + condition
	}
	if text == "" {
		return Failed, strings.Join(names, " or ") + " is not imported"
	}
	return verdict, text
}
