package setup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/internal/testhost"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/setup/machine"
)

// systemctl replaces systemd's: it logs its calls, and reports a unit as enabled once
// it has been enabled.
const systemctl = `#!/bin/sh
echo "$*" >>"$CALLED"
case $1 in
--quiet) grep -q "^enable.* $3\( \|$\)" "$CALLED" ;;
esac
`

// TestUnits installs the units on a machine with its files in a folder, and verifies
// them with systemd-analyze.
func TestUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		testhost.Missing(t, "systemd-analyze is not installed: apt-get install systemd")
	}
	bin, called := t.TempDir(), filepath.Join(t.TempDir(), "called")
	if err := os.WriteFile(filepath.Join(bin, "systemctl"), []byte(systemctl), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"failover-notify", "zfs-replicate", "image-sync", "lag-check"} {
		if err := os.Symlink("/bin/true", filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("CALLED", called)
	a, b := hosts()
	s, _ := trial(a, b, Answers{})
	l := machine.NewLocal(run.New(zerolog.Nop()), "v1")
	l.Root = t.TempDir()
	n := &node{Machine: l, Facts: machine.Facts{Folder: bin, Systemd: true}, name: "alpha"}
	cfg, err := load("nodes:\n  - {name: alpha, address: 192.0.2.10}\n  - {name: beta, address: 192.0.2.11}\nreplication: {datasets: [{name: tank}]}\nservices: {directory: /srv, projects: [x.yaml]}\n")
	if err != nil {
		t.Fatal(err)
	}
	s.cfg, s.Dialog.Verbose = cfg, true
	list := []step{s.units(n), s.enabled(n, "start at boot", s.bootUnits(), false), s.enabled(n, "schedule", s.timers(), true)}
	if err := s.steps(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	for i, one := range list {
		if f, err := one.check(t.Context()); err != nil || !f.done {
			t.Errorf("step %d is not done after it was: %+v, %v", i, f, err)
		}
	}
	text, err := os.ReadFile(called)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"daemon-reload\n", "enable understudy-fence.service understudy-join.service understudy.service keepalived.service\n",
		"enable --now understudy-image-sync.timer understudy-lag-check.timer understudy-replicate.timer\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("not called: %s\n%s", want, text)
		}
	}
	folder := filepath.Join(l.Root, unitFolder)
	found, err := filepath.Glob(filepath.Join(folder, "*.*"))
	if err != nil || len(found) != 10 {
		t.Fatalf("units %q, error %v", found, err)
	}
	argv := []string{"systemd-analyze", "verify", "--man=no"}
	for _, unit := range found {
		if !strings.HasSuffix(unit, ".d") {
			argv = append(argv, unit)
		}
	}
	out, err := run.New(zerolog.Nop()).Output(t.Context(), time.Minute, argv...)
	if err != nil {
		t.Errorf("systemd-analyze: %v\n%s", err, out)
	}
}

// A unit that a package installed is not written again.
func TestPackagedUnits(t *testing.T) {
	a, b := hosts()
	for _, name := range []string{"understudy.service", "understudy-join.service", "understudy-fence.service"} {
		a.files["/usr/lib/systemd/system/"+name] = machine.File{Found: true, Text: "the package's\n"}
	}
	answers := usual(t, b)
	s, out := trial(a, b, answers)
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if a.files[unitFolder+"/understudy.service"].Found || !a.files[unitFolder+"/understudy-replicate.timer"].Found || !b.files[unitFolder+"/understudy.service"].Found {
		t.Error("written beside the package's, or not where there is none")
	}
	s, out = trial(a, b, answers)
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if text := out.String(); !strings.Contains(text, "/usr/lib/systemd/system/understudy.service") || !strings.Contains(text, unitFolder+"/understudy-replicate.timer") {
		t.Errorf("it does not say where the units are:\n%s", text)
	}
}
