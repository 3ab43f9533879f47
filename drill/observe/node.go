package observe

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Port is the UDP port that nodes answer on.
const Port = 7707

// View is what a node observes of itself.
type View struct {
	Address netip.Addr // the virtual IP
	Below   string     // the folder below which datasets are mounted
}

// Answer answers every datagram on the listening address with the node's state
// and the datagram's own bytes, until ctx ends.
func (v View) Answer(ctx context.Context, listen string) error {
	conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp", listen)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	buffer := make([]byte, 64)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		text, err := json.Marshal(v.look())
		if err != nil {
			return err
		}
		// A lost answer is missing, as is a lost question.
		_, _ = conn.WriteTo(append(append(buffer[:n:n], ' '), text...), from)
	}
}

// look returns the current state.
func (v View) look() State {
	var s State
	var failures [3]error
	s.Address, failures[0] = v.holdsAddress()
	s.Writable, failures[1] = v.writable()
	s.Running, failures[2] = running()
	if err := errors.Join(failures[:]...); err != nil {
		s.Error = err.Error()
	}
	return s
}

func (v View) holdsAddress() (bool, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(addresses, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr() == v.Address
	}), nil
}

func (v View) writable() ([]string, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if point, ok := writableBelow(lines.Text(), v.Below); ok {
			found = append(found, point)
		}
	}
	return found, lines.Err()
}

// writableBelow reads one line of proc(5)'s mountinfo. A file system is
// read-only when the mount or the file system itself is.
func writableBelow(line, below string) (point string, ok bool) {
	mount, super, found := strings.Cut(line, " - ")
	m, s := strings.Fields(mount), strings.Fields(super)
	if !found || len(m) < 6 || len(s) < 3 {
		return "", false
	}
	if m[4] != below && !strings.HasPrefix(m[4], below+"/") {
		return "", false
	}
	readOnly := slices.Contains(strings.Split(m[5], ","), "ro") || slices.Contains(strings.Split(s[2], ","), "ro")
	return m[4], !readOnly
}

// groups returns the control groups of Docker's containers with their
// processes: Docker's own groups and those of systemd.
var groups = []string{"/sys/fs/cgroup/docker/*/cgroup.procs", "/sys/fs/cgroup/system.slice/docker-*.scope/cgroup.procs"}

// running names the projects by the processes in Docker's control groups.
// Asking Docker, or reading all processes, would cost an emulated processor too
// much.
func running() ([]string, error) {
	var paths []string
	for _, pattern := range groups {
		some, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		paths = append(paths, some...)
	}
	var found []string
	for _, path := range paths {
		// A container that ended meanwhile runs nothing.
		pids, _ := os.ReadFile(path)
		for _, pid := range strings.Fields(string(pids)) {
			cmdline, err := os.ReadFile("/proc/" + pid + "/cmdline")
			if err != nil || len(cmdline) == 0 {
				continue
			}
			argv := strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
			if name := projectOf(argv); name != "" && !slices.Contains(found, name) {
				found = append(found, name)
			}
		}
	}
	slices.Sort(found)
	return found, nil
}

// projectOf reads the command line of a container's first process.
func projectOf(argv []string) string {
	if argv[0] != "/program" || len(argv) < 2 {
		return ""
	}
	if argv[1] != "app" {
		return "traefik"
	}
	for _, arg := range argv[2:] {
		if name, ok := strings.CutPrefix(arg, "-name="); ok {
			return name
		}
	}
	return fmt.Sprintf("unnamed %s", argv[1])
}
