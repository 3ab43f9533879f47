// Package script_test runs the scripts in testdata: by default on the simulator
// (lab/zfssim); with UNDERSTUDY_ZFS=real, as root, on the machine's own zfs and
// zpool. Running the same scripts on both keeps the simulator faithful to
// OpenZFS.
package script_test

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/understudy-ha/understudy/internal/testhost"
	// The scripts run the simulator as a program. Importing it makes "go test" run
	// them again when it changes.
	_ "github.com/understudy-ha/understudy/lab/zfssim/command"
	_ "github.com/understudy-ha/understudy/lab/zfssim/host"
	"github.com/understudy-ha/understudy/pkg/cli"
	failover "github.com/understudy-ha/understudy/pkg/failover/command"
	images "github.com/understudy-ha/understudy/pkg/images/command"
	lag "github.com/understudy-ha/understudy/pkg/lag/command"
	probe "github.com/understudy-ha/understudy/pkg/probe/command"
	replicate "github.com/understudy-ha/understudy/pkg/replicate/command"
)

// programs are the project's programs as the scripts call them.
func programs() map[string]func() {
	return map[string]func(){
		"answer-as-engine": answerAsEngine,
		"hold-port":        holdPort,
		"failover-notify":  func() { cli.Main(failover.New) },
		"image-sync":       func() { cli.Main(images.New) },
		"track-traefik":    probe.Main,
		"lag-check": func() {
			lag.Guard(os.Args[1:], os.Stdout, os.Exit)
			cli.Main(lag.New)
		},
		"take-over":     takeOver,
		"take-messages": takeMessages,
		"zfs-replicate": func() { cli.Main(replicate.New) },
	}
}

// What the simulator mounts goes with the namespace.
func TestMain(m *testing.M) {
	_, program := programs()[filepath.Base(os.Args[0])]
	if !program && !onReal() && !testhost.InNamespace() {
		os.Exit(testhost.EnterNamespace())
	}
	testscript.Main(m, programs())
}

func onReal() bool { return os.Getenv("UNDERSTUDY_ZFS") == "real" }

func TestScripts(t *testing.T) {
	var sim string
	if onReal() {
		requireReal(t)
	} else {
		if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			t.Fatalf("make the mounts of the test private: %v", err)
		}
		hideSystemd(t)
		sim = buildSimulator(t)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(env *testscript.Env) error { return setup(env, sim) },
		Cmds:                commands(),
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "sim":
				return !onReal(), nil
			case "real":
				return onReal(), nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	})
}

// requireReal fails unless the machine has ZFS and lets us use it.
func requireReal(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("UNDERSTUDY_ZFS=real needs root: run the test as root")
	}
	if out, err := exec.Command("zfs", "version").CombinedOutput(); err != nil {
		t.Fatalf("UNDERSTUDY_ZFS=real needs a working zfs: %v\n%s", err, out)
	}
}

// hideSystemd keeps the scripts from starting this machine's own units, and
// their log out of its journal.
func hideSystemd(t *testing.T) {
	t.Helper()
	const dir = "/run/systemd"
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		t.Fatalf("hide %s: %v", dir, err)
	}
}

// buildSimulator makes the simulator and returns the folder to put on PATH.
func buildSimulator(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "zfs"), "../../lab/zfssim")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the simulator: %v\n%s", err, out)
	}
	if err := os.Symlink("zfs", filepath.Join(dir, "zpool")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// script is what the commands of one script share.
type script struct {
	names []string // environment to hand on
	pools []string
}

type scriptKey struct{}

// setup gives a script its pools' names and its own simulator store.
func setup(env *testscript.Env, sim string) error {
	h := fnv.New32a()
	h.Write([]byte(env.WorkDir))
	name := fmt.Sprintf("us%08x", h.Sum32())
	env.Setenv("POOL", name)
	env.Setenv("POOL2", name+"b")
	env.Setenv("MNT", filepath.Join(env.WorkDir, "mnt"))
	env.Setenv("ZVOL", "/dev/zvol")
	env.Setenv("TZ", "UTC")
	env.Setenv("LC_ALL", "C")
	env.Setenv("ZFSSIM_FAULT", "")
	env.Setenv("UNDERSTUDY_CONFIG", filepath.Join(env.WorkDir, "c.yaml"))
	env.Setenv("UNDERSTUDY_NODE", "here")
	if sim != "" {
		env.Setenv("PATH", sim+":"+env.Getenv("PATH"))
		env.Setenv("ZFSSIM_ROOT", filepath.Join(env.WorkDir, ".store"))
		env.Setenv("ZVOL", filepath.Join(env.WorkDir, ".zvol"))
		env.Setenv("ZFSSIM_ZVOL_DIR", env.Getenv("ZVOL"))
	} else {
		env.Setenv("PATH", env.Getenv("PATH")+":/usr/sbin:/sbin")
	}
	s := &script{}
	for _, v := range env.Vars {
		n, _, _ := strings.Cut(v, "=")
		if !slices.Contains(s.names, n) {
			s.names = append(s.names, n)
		}
	}
	env.Values[scriptKey{}] = s
	work, path := env.WorkDir, env.Getenv("PATH")
	env.Defer(func() { cleanup(s, work, path) })
	return nil
}

// cleanup takes a script's pools and mounts away, however the script ended.
func cleanup(s *script, work, path string) {
	if onReal() {
		for _, p := range s.pools {
			cmd := exec.Command("zpool", "destroy", "-f", p)
			cmd.Env = []string{"PATH=" + path}
			cmd.Run() // an exported pool is not there, which is as good
		}
	}
	for _, mp := range mountsBelow(work) {
		syscall.Unmount(mp, syscall.MNT_DETACH)
	}
}

// mountsBelow lists the mount points below a folder, innermost first.
func mountsBelow(dir string) []string {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var found []string
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			found = append(found, strings.ReplaceAll(f[4], `\040`, " "))
		}
	}
	slices.Reverse(found)
	return found
}
