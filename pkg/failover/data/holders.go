package data

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mountEntry is one mount of this process's mount namespace.
type mountEntry struct {
	path   string
	device uint64
	source string
}

// readMounts reads the kernel's table of mounts.
func readMounts() ([]mountEntry, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read the table of mounts: %w", err)
	}
	defer file.Close()
	var all []mountEntry
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		major, minor, _ := strings.Cut(fields[2], ":")
		a, _ := strconv.ParseUint(major, 10, 32)
		b, _ := strconv.ParseUint(minor, 10, 32)
		m := mountEntry{path: unescape(fields[4]), device: unix.Mkdev(uint32(a), uint32(b))}
		if dash := slices.Index(fields, "-"); dash >= 0 && dash+2 < len(fields) {
			m.source = unescape(fields[dash+2])
		}
		all = append(all, m)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the table of mounts: %w", err)
	}
	return all, nil
}

// unescape decodes the blanks and backslashes in the kernel's paths.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// maxHolders is the number of processes that a message names.
const maxHolders = 5

// holders names the processes that use a mounted filesystem or a volume.
func (d *Data) holders(ctx context.Context, ds *dataset) string {
	var uses func(process string) bool
	var found []string
	if ds.volume() {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(d.Devices, ds.name), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
			return ""
		}
		if table, err := readMounts(); err == nil {
			for _, m := range table {
				if m.device == st.Rdev {
					found = append(found, "the filesystem mounted at "+m.path)
				}
			}
		}
		uses = func(process string) bool { return hasOpen(process, st.Rdev) }
	} else {
		path := ds.path()
		uses = func(process string) bool { return usesPath(process, path) }
	}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		if ctx.Err() != nil {
			break
		}
		if uses(process) {
			name, _ := os.ReadFile(process + "/comm")
			found = append(found, fmt.Sprintf("%s (%s)", strings.TrimSpace(string(name)), filepath.Base(process)))
		}
	}
	if len(found) == 0 && !ds.volume() {
		return "a process of another namespace, or an NFS client"
	}
	if over := len(found) - maxHolders; over > 0 {
		found = append(found[:maxHolders], fmt.Sprintf("and %d more", over))
	}
	return strings.Join(found, ", ")
}

// usesPath reports whether a process has its working directory, its root, its program,
// an open file or a mapped file below a path. Processes in containers see other
// paths, but they hold a mount of their own, which blocks no unmount.
func usesPath(process, path string) bool {
	for _, link := range []string{"cwd", "root", "exe"} {
		if target, err := os.Readlink(process + "/" + link); err == nil && target != "/" && under(target, path) {
			return true
		}
	}
	files, _ := filepath.Glob(process + "/fd/*")
	if slices.ContainsFunc(files, func(fd string) bool {
		target, err := os.Readlink(fd)
		return err == nil && under(target, path)
	}) {
		return true
	}
	maps, _ := os.ReadFile(process + "/maps")
	for line := range strings.Lines(string(maps)) {
		if at := strings.IndexByte(line, '/'); at > 0 && under(strings.TrimSpace(line[at:]), path) {
			return true
		}
	}
	return false
}

// hasOpen reports whether a process has a block device open.
func hasOpen(process string, device uint64) bool {
	files, _ := filepath.Glob(process + "/fd/*")
	return slices.ContainsFunc(files, func(fd string) bool {
		// stat of a file on a broken network mount would hang: only devices are checked.
		target, err := os.Readlink(fd)
		if err != nil || !strings.HasPrefix(target, "/dev/") {
			return false
		}
		var st unix.Stat_t
		return unix.Stat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK && st.Rdev == device
	})
}
