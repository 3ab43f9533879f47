package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/drill/report"
	"github.com/understudy-ha/understudy/lab"
)

// VirtualIP is the virtual IP of a site.
const VirtualIP = "10.77.0.100"

// SiteOptions describe the site to make.
type SiteOptions struct {
	Kind     lab.Kind
	Nodes    []string // as in Options
	Programs SitePrograms
	// Configure changes the config that both nodes get; it may be nil.
	Configure func(Config)
	// Ready is called when the nodes are up and their services are not; it may
	// be nil.
	Ready func(*Site) error
	Log   io.Writer // gets the lab's progress; nil drops it
}

// Site is a pair whose nodes have services: Traefik and applications as Compose
// projects, their data in replicated datasets, and a virtual IP that keepalived
// moves. All of it is observed.
type Site struct {
	*Pair
	Line *report.Timeline

	programs  SitePrograms
	configure func(Config)
	watch     *watcher
}

// SiteUp makes a site on which Docker alone is started. On error nothing is
// left.
func SiteUp(ctx context.Context, o SiteOptions) (_ *Site, err error) {
	s := &Site{programs: o.Programs}
	s.configure = func(c Config) {
		siteConfig(c)
		if o.Kind == lab.VM {
			// An emulated processor needs seconds for an answer over ssh.
			c.Set("failover", Config{"join_wait": "90s", "peer_stop": "60s", "peer_timeout": "30s"})
			c.Set("witness.timeout", "2s")
			c.Set("services.stop_timeout", "10s")
		}
		if o.Configure != nil {
			o.Configure(c)
		}
	}
	s.Pair, err = Up(ctx, Options{Kind: o.Kind, Nodes: o.Nodes, Programs: o.Programs.Programs, PoolSize: 1 << 30, Configure: s.configure, Log: o.Log})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Down())
		}
	}()
	if err := s.each(func(n lab.Node) error { return s.prepare(ctx, n) }); err != nil {
		return nil, err
	}
	if s.watch, err = startWatch(s.Lab, o.Programs.Observer); err != nil {
		return nil, err
	}
	s.Line = s.watch.line
	if o.Ready != nil {
		if err := o.Ready(s); err != nil {
			return nil, err
		}
	}
	return s, s.makeDatasets(ctx)
}

// Down removes the site with its contents.
func (s *Site) Down() error {
	if s.watch != nil {
		s.watch.end()
	}
	return s.Pair.Down()
}

// Watched returns an error when a part of the time was not observed.
func (s *Site) Watched() error { return s.watch.alive() }

// Reconfigure writes the site's config, with changes, to both nodes.
func (s *Site) Reconfigure(ctx context.Context, change func(Config)) error {
	return s.Configure(ctx, func(c Config) {
		s.configure(c)
		if change != nil {
			change(c)
		}
	})
}

// Other returns the node that is not n.
func (s *Site) Other(n lab.Node) lab.Node {
	if n == s.A {
		return s.B
	}
	return s.A
}

// PullPlug cuts the power of a node.
func (s *Site) PullPlug(ctx context.Context, n lab.Node) error {
	defer s.Line.Break(n.Name())
	return n.PullPlug(ctx)
}

// siteConfig adds the settings of a site to a pair's configuration.
func siteConfig(c Config) {
	c.Set("virtual_ip", VirtualIP+"/24")
	c.Set("interface", "eth0")
	c.Set("services", Config{
		"directory": Checkout, "projects": []any{"apps/*/docker-compose.yml"},
		"first": []any{"traefik"}, "networks": []any{"proxy"}, "stop_timeout": "3s",
	})
	c.Set("probe", Config{"container": "traefik", "ping": "http://127.0.0.1:8080/ping", "hold_down": "3s"})
	// The lab itself: a node that does not reach it is cut off.
	c.Set("witness.targets", []any{"ping://10.77.0.1"})
	c.Set("failover", Config{"join_wait": "15s", "peer_stop": "20s"})
	c.Set("replication.require_role", true)
	c.Set("replication.datasets", []any{Config{"name": Apps}})
}

// each calls do for all nodes at the same time.
func (s *Site) each(do func(lab.Node) error) error {
	failures := make([]error, len(s.Lab.Nodes))
	var all sync.WaitGroup
	for i, n := range s.Lab.Nodes {
		all.Go(func() { failures[i] = do(n) })
	}
	all.Wait()
	return errors.Join(failures...)
}

// prepare gives a node the programs, projects, images and services.
func (s *Site) prepare(ctx context.Context, n lab.Node) error {
	if err := s.programs.install(ctx, n); err != nil {
		return err
	}
	if err := n.CopyTo(ctx, s.programs.Observer, "/usr/bin/observer"); err != nil {
		return err
	}
	if err := WriteFile(ctx, n, nodeEnv, "NODE="+n.Name()+"\n"); err != nil {
		return err
	}
	if err := SetProjects(ctx, n, nil); err != nil {
		return err
	}
	if _, err := Shell(ctx, n, keepalivedConfig, string(n.Kind())); err != nil {
		return fmt.Errorf("write keepalived's configuration: %w", err)
	}
	if err := setServices(ctx, n); err != nil {
		return err
	}
	for _, name := range []string{"observer", "docker"} {
		if err := lab.StartService(ctx, n, name); err != nil {
			return err
		}
	}
	for _, image := range []string{s.programs.images.webapp, s.programs.images.traefik} {
		if err := lab.LoadImage(ctx, n, image); err != nil {
			return err
		}
	}
	// A power loss must not undo this: the kernel would write it later.
	if _, err := n.Run(ctx, lab.Argv("sync", "-f", "/")); err != nil {
		return fmt.Errorf("write what node %s was given to its disk: %w", n.Name(), err)
	}
	return nil
}

// keepalivedConfig writes keepalived's configuration. The check ends itself
// after two thirds of a second, which an emulated processor exceeds now and
// then: there, several checks in a row have to fail.
const keepalivedConfig = `failover-notify keepalived >/etc/keepalived/keepalived.conf
[ "$1" != vm ] || sed -i -e 's/^    interval 1$/    interval 2/; s/^    timeout 1$/    timeout 3/; s/^    fall 2$/    fall 3/; s/^    rise 2$/    rise 1/' /etc/keepalived/keepalived.conf`

// services returns the services of a node in the order of packaging/systemd.
func services(n lab.Node) []lab.Service {
	list := []lab.Service{
		observerService(n),
		{Name: "fence", Order: 10, Once: true, Argv: []string{"failover-notify", "fence"}},
		dockerService(os.Getenv(lab.DockerMinAPI)),
		{Name: "join", Order: 30, Once: true, Argv: []string{"failover-notify", "join"}},
		{Name: "watch", Order: 40, Restart: true, Argv: []string{"failover-notify", "watch"}},
		{
			Name: "keepalived", Order: 50, Argv: []string{"keepalived", "--dont-fork", "--log-console", "--log-detail"},
			Before: []string{"failover-notify", "drain"}, After: []string{"failover-notify", "stop"},
		},
	}
	if n.Kind() == lab.VM {
		list = append(list, lab.Service{Name: "mount", Order: 15, Once: true, Argv: []string{"zfs", "mount", "-a"}})
	}
	return list
}

// dockerService is the Docker Engine as packaging/systemd/docker.service.d
// configures it: it starts no containers at boot. Its resolver refuses unknown
// names at once, since none could answer. The engine refuses versions of its
// API below minAPI; "" keeps its own minimum.
func dockerService(minAPI string) lab.Service {
	return lab.DockerServiceFrom(minAPI, 20, "--restart=false", "--dns", "127.0.0.1")
}

func setServices(ctx context.Context, n lab.Node) error {
	for _, service := range services(n) {
		if err := lab.SetService(ctx, n, service); err != nil {
			return err
		}
	}
	return nil
}

// makeDatasets makes the applications' datasets on the first node.
func (s *Site) makeDatasets(ctx context.Context) error {
	if _, err := Shell(ctx, s.A, `zfs create "$1"; for name in "${@:2}"; do zfs create "$1/$name"; done`, append([]string{Apps}, Applications(s.Lab.Kind())...)...); err != nil {
		return fmt.Errorf("make the datasets of the applications: %w", err)
	}
	return nil
}

// StartServices starts the services after Docker on both nodes, on the second
// node a little later, as at a first boot.
func (s *Site) StartServices(ctx context.Context) error {
	return s.each(func(n lab.Node) error {
		if n == s.B {
			time.Sleep(200 * time.Millisecond)
		}
		return lab.StartServices(ctx, n)
	})
}
