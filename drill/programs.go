package drill

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/lab"
)

// Programs are built once and serve any number of pairs.
type Programs struct {
	Hub       string // lab/cmd/lab
	Simulator string // lab/zfssim; empty for virtual machines
	Replicate string // cmd/zfs-replicate
}

// Build builds the static programs that pairs of a kind need into a folder. It
// needs a working directory in this module.
func Build(ctx context.Context, kind lab.Kind, dir string) (Programs, error) {
	p := Programs{Hub: filepath.Join(dir, "lab"), Replicate: filepath.Join(dir, "zfs-replicate")}
	packages := map[string]string{p.Hub: "lab/cmd/lab", p.Replicate: "cmd/zfs-replicate"}
	if kind == lab.NS {
		p.Simulator = filepath.Join(dir, "zfssim")
		packages[p.Simulator] = "lab/zfssim"
	}
	return p, buildAll(ctx, packages)
}

// SitePrograms are the programs that sites need.
type SitePrograms struct {
	Programs
	Failover string // cmd/failover-notify
	Whole    string // libexec/failover-notify
	Track    string // cmd/track-traefik
	Observer string // drill/observer

	images images
}

// BuildSite builds the programs and container images that sites of a kind need.
// The first build of Traefik takes minutes.
func BuildSite(ctx context.Context, kind lab.Kind, dir string) (SitePrograms, error) {
	base, err := Build(ctx, kind, dir)
	if err != nil {
		return SitePrograms{}, err
	}
	p := SitePrograms{
		Programs: base,
		Failover: filepath.Join(dir, "failover-notify"), Whole: filepath.Join(dir, "libexec", "failover-notify"), Track: filepath.Join(dir, "track-traefik"), Observer: filepath.Join(dir, "observer"),
	}
	webapp := filepath.Join(dir, "webapp")
	err = buildAll(ctx, map[string]string{
		p.Failover: "cmd/failover-notify", p.Whole: "libexec/failover-notify", p.Track: "cmd/track-traefik", p.Observer: "drill/observer", webapp: "lab/webapp",
	})
	if err != nil {
		return SitePrograms{}, err
	}
	p.images, err = makeImages(ctx, kind, webapp, dir)
	return p, err
}

// install puts the programs of a release on a node, each program after those
// that it starts.
func (p SitePrograms) install(ctx context.Context, n lab.Node) error {
	for _, one := range [][2]string{
		{p.Replicate, "/usr/sbin/zfs-replicate"},
		{p.Whole, "/usr/lib/understudy/failover-notify"},
		{p.Failover, "/usr/bin/failover-notify"},
		{p.Track, "/usr/bin/track-traefik"},
	} {
		if one[0] == "" {
			continue // this release has no such program
		}
		if err := n.CopyTo(ctx, one[0], one[1]); err != nil {
			return err
		}
	}
	return nil
}

// buildAll builds static programs of this module. A program has its package's
// name, so that one call, which loads and links them side by side, serves a
// folder.
func buildAll(ctx context.Context, packages map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	folders := map[string][]string{}
	for out, pkg := range packages {
		if filepath.Base(out) != filepath.Base(pkg) {
			return fmt.Errorf("build %s: the program is to be called %s", pkg, filepath.Base(out))
		}
		dir := filepath.Dir(out) + string(filepath.Separator)
		folders[dir] = append(folders[dir], module+"/"+pkg)
	}
	for dir, list := range folders {
		cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-trimpath", "-o", dir}, list...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.WaitDelay = time.Second
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w:\n%s", strings.Join(list, ", "), err, text)
		}
	}
	return nil
}
