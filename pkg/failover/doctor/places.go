package doctor

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/docker"
)

// machine holds paths of the machine itself: every node has its own.
var machine = []string{"/dev", "/proc", "/sys", "/run", "/var/run", "/tmp/.X11-unix", "/etc/localtime", "/etc/timezone", "/etc/hostname",
	"/etc/machine-id", "/etc/os-release", "/etc/passwd", "/etc/group", "/etc/ssl/certs", "/etc/ca-certificates", "/usr/share/zoneinfo",
	"/usr/share/ca-certificates", "/lib/modules", "/boot", "/var/log", "/var/lib/docker", "/var/lib/containerd"}

// anonymous matches the names of volumes without a name of their own.
var anonymous = regexp.MustCompile(`^[0-9a-f]{64}$`)

// places locates the data of each project.
func (d *Doctor) places(ctx context.Context, s *Services, projects []compose.Project, boxes []docker.Box) error {
	filesystems, err := d.filesystems(ctx)
	if err != nil {
		return err
	}
	for i, p := range projects {
		places := map[string]Place{}
		for _, path := range p.Binds {
			places[path] = Place{Path: path}
		}
		mounted(places, p, boxes)
		for _, path := range sortedKeys(places) {
			s.Projects[i].Places = append(s.Projects[i].Places, filesystems.locate(places[path]))
		}
	}
	return nil
}

// mounted adds the facts that only existing containers show: Docker's volumes, and
// paths that no container can write to.
func mounted(places map[string]Place, p compose.Project, boxes []docker.Box) {
	read, written := map[string]bool{}, map[string]bool{}
	for _, b := range boxes {
		if b.Project != p.Name {
			continue
		}
		for _, m := range b.Mounts {
			read[m.Source] = true
			written[m.Source] = written[m.Source] || m.Write
			if _, known := places[m.Source]; m.Kind == "volume" && m.Source != "" && !known {
				places[m.Source] = Place{Path: m.Source, Volume: m.Name}
			}
		}
	}
	for path, place := range places {
		place.ReadOnly = read[path] && !written[path]
		places[path] = place
	}
}

// filesystems holds what paths of this machine lie on.
type filesystems struct {
	mounts []mount
	// replicated holds the replicated datasets by mountpoint.
	replicated map[string]string
	// checkout is the folder of the projects if it is a git checkout, and tracked
	// holds its files.
	checkout string
	tracked  []string
}

// mount is one line of mountinfo.
type mount struct{ point, kind, source string }

func (d *Doctor) filesystems(ctx context.Context) (*filesystems, error) {
	g := &filesystems{replicated: map[string]string{}}
	if d.Node.Data.Configured() {
		states, err := d.Node.Data.State(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range states {
			if strings.HasPrefix(s.Mountpoint, "/") && !s.Missing {
				g.replicated[filepath.Clean(s.Mountpoint)] = s.Name
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(d.Proc, "self/mountinfo"))
	if err != nil {
		return nil, fmt.Errorf("read the mount table: %w", err)
	}
	g.mounts = parseMounts(text)
	return g, d.checkout(ctx, g)
}

// unescape decodes the blanks and backslashes in the kernel's paths.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func parseMounts(text []byte) []mount {
	var mounts []mount
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if ok && len(left) > 4 && len(right) > 1 {
			mounts = append(mounts, mount{unescape.Replace(left[4]), right[0], unescape.Replace(right[1])})
		}
	}
	return mounts
}

// checkout asks git for the files that it tracks in the projects' folder.
func (d *Doctor) checkout(ctx context.Context, g *filesystems) error {
	folder := d.config().Services.Directory
	if !inGit(folder) {
		return nil
	}
	// The checkout may belong to another user, and its settings must not start
	// programs.
	said, err := d.output(ctx, "git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", folder, "ls-files", "-z")
	if err != nil {
		return fmt.Errorf("list git's files in %s: %w", folder, err)
	}
	g.checkout = resolve(folder)
	for name := range strings.SplitSeq(said, "\x00") {
		if name != "" {
			g.tracked = append(g.tracked, filepath.Join(g.checkout, name))
		}
	}
	slices.Sort(g.tracked)
	return nil
}

func inGit(folder string) bool {
	for ; ; folder = filepath.Dir(folder) {
		if _, err := os.Lstat(filepath.Join(folder, ".git")); err == nil {
			return true
		}
		if folder == filepath.Dir(folder) {
			return false
		}
	}
}

// locate fills in what a path lies on.
func (g *filesystems) locate(p Place) Place {
	real := resolve(p.Path)
	info, err := os.Stat(real)
	p.Exists = err == nil
	p.System = p.Volume == "" && ofMachine(p.Path, real) || err == nil && info.Mode()&(fs.ModeSocket|fs.ModeDevice|fs.ModeNamedPipe) != 0
	p.InGit = g.inCheckout(real)
	dataset, point := "", ""
	for at, name := range g.replicated {
		if within(real, at) && len(at) >= len(point) {
			dataset, point = name, at
		}
	}
	on := mount{}
	for _, m := range g.mounts { // the last mount at a mountpoint counts
		if within(real, m.point) && len(m.point) >= len(on.point) {
			on = m
		}
	}
	switch {
	// A replica is usually not mounted: its mountpoint shows the filesystem below.
	// The source of the mount identifies a mounted one.
	case dataset != "" && len(point) > len(on.point), on.kind == "zfs" && dataset == on.source && dataset != "",
		on.kind != "zfs" && dataset != "" && point == on.point:
		p.Replicated, p.On = true, dataset
	case on.kind == "zfs":
		p.On = on.source
	case on.point != "":
		p.On = fmt.Sprintf("%s (%s)", on.source, on.kind)
	}
	return p
}

// inCheckout reports whether git tracks a file, or a file in a folder.
func (g *filesystems) inCheckout(path string) bool {
	if g.checkout == "" || !within(path, g.checkout) {
		return false
	}
	at, found := slices.BinarySearch(g.tracked, path)
	if found {
		return true
	}
	// In sorted order, names such as path-1 come before path/.
	for ; at < len(g.tracked) && strings.HasPrefix(g.tracked[at], path); at++ {
		if within(g.tracked[at], path) {
			return true
		}
	}
	return false
}

func ofMachine(paths ...string) bool {
	for _, path := range paths {
		if path == "/" || slices.ContainsFunc(machine, func(m string) bool { return within(path, m) }) {
			return true
		}
	}
	return false
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

// resolve follows links as far as the path exists.
func resolve(path string) string {
	path = filepath.Clean(path)
	rest := ""
	for at := path; ; at = filepath.Dir(at) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest)
		}
		if at == filepath.Dir(at) {
			return path
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}
