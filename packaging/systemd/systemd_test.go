// Package systemd_test checks the units with systemd's own verifier.
package systemd_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/internal/testhost"
)

// units are the packaged units, by their endings.
func units(t *testing.T, endings ...string) (all []string) {
	t.Helper()
	for _, ending := range endings {
		found, err := filepath.Glob("*." + ending)
		if err != nil || len(found) == 0 {
			t.Fatalf("units %v, error %v", found, err)
		}
		all = append(all, found...)
	}
	return all
}

// settings are the lines of a unit or a drop-in that set something, in order.
func settings(t *testing.T, file string) (lines []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if line := s.Text(); strings.Contains(line, "=") && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// What the units do is mounting, which must reach the rest of the system; only
// lag-check does nothing but read.
func TestNoSandbox(t *testing.T) {
	for _, unit := range units(t, "service") {
		for _, line := range settings(t, unit) {
			for _, bad := range []string{"PrivateTmp=", "PrivateMounts=", "Protect", "ReadOnlyPaths=", "PrivateDevices=", "MountFlags="} {
				if strings.HasPrefix(line, bad) && unit != "understudy-lag-check.service" {
					t.Errorf("%s: %q cuts mount propagation", unit, line)
				}
			}
			// These leave a unit no device but a few, and ZFS is asked through one.
			for _, bad := range []string{"ProtectClock=", "PrivateDevices=", "DevicePolicy=", "DeviceAllow="} {
				if strings.HasPrefix(line, bad) {
					t.Errorf("%s: %q takes /dev/zfs away", unit, line)
				}
			}
		}
	}
}

// A unit that is enabled before there is a configuration does nothing and
// complains of nothing; none that ends runs without a bound.
func TestQuietAndBounded(t *testing.T) {
	for _, unit := range units(t, "service") {
		lines := settings(t, unit)
		if !slices.Contains(lines, "ConditionPathExists=/etc/understudy/config.yaml") {
			t.Errorf("%s runs without a configuration", unit)
		}
		bounded := slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "TimeoutStartSec=") })
		if slices.Contains(lines, "Type=oneshot") && (!bounded || slices.Contains(lines, "TimeoutStartSec=infinity")) {
			t.Errorf("%s has no deadline", unit)
		}
	}
}

// Each timer starts its service, on a machine that has enabled it and no other.
func TestTimers(t *testing.T) {
	for _, timer := range units(t, "timer") {
		service := strings.TrimSuffix(timer, "timer") + "service"
		if !slices.ContainsFunc(settings(t, service), func(l string) bool {
			return regexp.MustCompile(`^ExecStart=/usr/bin/\S+ (run )?--scheduled$`).MatchString(l)
		}) {
			t.Errorf("%s starts nothing that is meant for a timer", service)
		}
		if slices.ContainsFunc(settings(t, service), func(l string) bool { return strings.HasPrefix(l, "WantedBy=") }) {
			t.Errorf("%s would run at boot without its timer", service)
		}
		if !slices.Contains(settings(t, timer), "WantedBy=timers.target") {
			t.Errorf("%s can't be enabled", timer)
		}
	}
}

func TestVerify(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		testhost.Missing(t, "systemd-analyze is not installed: apt-get install systemd")
	}
	// The programs need not be installed here, and the man pages neither.
	program := regexp.MustCompile(`/usr/s?bin/(dockerd|failover-notify|image-sync|lag-check|zfs-replicate)\b`)
	dir := t.TempDir()
	place := func(file, to string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		to = filepath.Join(dir, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, program.ReplaceAll(text, []byte("/bin/true")), 0o644); err != nil {
			t.Fatal(err)
		}
		return to
	}
	var files []string
	for _, unit := range units(t, "service", "timer") {
		files = append(files, place(unit, unit))
	}
	// A drop-in is verified with a unit of its name.
	for _, other := range []string{"keepalived", "docker"} {
		unit := filepath.Join(dir, other+".service")
		if err := os.WriteFile(unit, []byte("[Unit]\nDescription=understudy's "+other+"\n[Service]\nExecStart=/bin/true\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, unit)
	}
	place("keepalived.service.d/understudy.conf", "keepalived.service.d/understudy.conf")
	place("docker.service.d/understudy.conf.example", "docker.service.d/understudy.conf")

	out, err := exec.CommandContext(t.Context(), "systemd-analyze", append([]string{"verify", "--man=no"}, files...)...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "understudy") || strings.Contains(line, dir) { // other units of this machine are not ours
			t.Errorf("%s", strings.TrimSpace(line))
		}
	}
	if err != nil {
		t.Errorf("systemd-analyze: %v\n%s", err, out)
	}
}
