//go:build drill

package lab_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/lab/image"
)

// ownerEnv turns this test program into a process that owns a lab and waits.
// Its value is the hub's program, the simulator and the containers' image,
// separated by colons.
const ownerEnv = "UNDERSTUDY_TEST_LAB_OWNER"

func TestMain(m *testing.M) {
	if programs := os.Getenv(ownerEnv); programs != "" {
		fmt.Fprintln(os.Stderr, own(programs))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// own makes a lab with a container, prints its name, and waits to be killed.
func own(programs string) error {
	parts := strings.Split(programs, ":")
	hub, simulator, image := parts[0], parts[1], parts[2]
	l, err := lab.Up(context.Background(), lab.Options{Kind: kind(), HubProgram: hub, Simulator: simulator, Log: os.Stderr})
	if err != nil {
		return err
	}
	if err := runProject(context.Background(), l.Nodes[0], image); err != nil {
		return errors.Join(err, l.Down())
	}
	fmt.Println(l.Name())
	time.Sleep(10 * time.Minute)
	return fmt.Errorf("nobody killed me")
}

// TestKilledOwner kills the process that owns a lab and searches for remains.
func TestKilledOwner(t *testing.T) {
	programs := build(t)
	owner := exec.CommandContext(t.Context(), "/proc/self/exe")
	owner.Env = append(os.Environ(), ownerEnv+"="+programs.hub+":"+programs.simulator+":"+makeWebapp(t))
	owner.Stderr = os.Stderr
	owner.WaitDelay = time.Second
	stdout, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	var name string
	if _, err := fmt.Fscanln(stdout, &name); err != nil {
		t.Fatalf("the owner made no lab: %v, %v", err, owner.Wait())
	}
	pid, err := os.ReadFile(filepath.Join(lab.RunRoot, name, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	network, err := os.Readlink("/proc/" + string(pid) + "/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	found := traces(t, name, network)
	if len(found) < 4 || kind() == lab.NS && !strings.Contains(strings.Join(found, "\n"), "/program app") {
		t.Fatalf("the search for traces finds too little of a running lab to be trusted: %q", found)
	}

	began := time.Now()
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	for {
		left := traces(t, name, network)
		if len(left) == 0 {
			break
		}
		if time.Since(began) > 30*time.Second {
			t.Fatalf("left 30 s after the owner was killed:\n%s", strings.Join(left, "\n"))
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("everything gone %.2f s after the owner was killed", time.Since(began).Seconds())
}

// traces lists the traces of a lab: processes that name it or are in its
// control groups or network namespace, mounts, links, control groups and
// folders.
func traces(t *testing.T, name, network string) []string {
	t.Helper()
	var found []string
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		// It may end meanwhile.
		cmdline, _ := os.ReadFile(p + "/cmdline")
		ns, _ := os.Readlink(p + "/ns/net")
		group, _ := os.ReadFile(p + "/cgroup")
		if strings.Contains(string(cmdline), name) || strings.Contains(string(group), "/understudy-lab/"+name+"/") || ns != "" && ns == network {
			found = append(found, "process "+filepath.Base(p)+": "+strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, name) {
			found = append(found, "mount "+line)
		}
	}
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		switch link.Name {
		case "l-a", "l-b", "m-a", "m-b", "lan", "management":
			found = append(found, "link "+link.Name)
		}
	}
	for _, path := range []string{
		filepath.Join(lab.RunRoot, name),
		filepath.Join(image.CacheDir(), "run", name),
	} {
		if _, err := os.Stat(path); err == nil {
			found = append(found, "folder "+path)
		}
	}
	// The mount point of the hierarchy differs between machines.
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.HasSuffix(path, "/understudy-lab/"+name) {
			found = append(found, "control group "+path)
		}
		return nil
	})
	return found
}
