// Package systemd_test checks the units with systemd's own verifier.
package systemd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/internal/testhost"
)

// units are the packaged units.
func units(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*.service")
	if err != nil || len(found) == 0 {
		t.Fatalf("units %v, error %v", found, err)
	}
	return found
}

// What the units do is mounting, which must reach the rest of the system; but
// lag-check only looks.
func TestNoSandbox(t *testing.T) {
	for _, unit := range units(t) {
		if unit == "understudy-lag-check.service" {
			continue
		}
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			for _, bad := range []string{"PrivateTmp=", "PrivateMounts=", "Protect", "ReadOnlyPaths=", "PrivateDevices=", "MountFlags="} {
				if strings.HasPrefix(line, bad) {
					t.Errorf("%s: %q cuts mount propagation", unit, strings.TrimSpace(line))
				}
			}
		}
	}
}

func TestVerify(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		testhost.Missing(t, "systemd-analyze is not installed: apt-get install systemd")
	}
	// The programs need not be installed here, and the man pages neither.
	programs := regexp.MustCompile(`/usr/bin/(failover-notify|zfs-replicate|image-sync|lag-check)\b`)
	dir := t.TempDir()
	var files []string
	for _, unit := range units(t) {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, unit)
		replaced := programs.ReplaceAllString(string(text), "/bin/true")
		if err := os.WriteFile(file, []byte(replaced), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", append([]string{"verify", "--man=no"}, files...)...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "understudy") { // other units of this machine are not ours
			t.Errorf("%s", strings.TrimSpace(line))
		}
	}
	if err != nil {
		t.Errorf("systemd-analyze: %v\n%s", err, out)
	}
}
