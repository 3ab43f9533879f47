//go:build drill

package drill

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
)

// TestScriptsOnZFS runs the scripts of "make test" on real OpenZFS. Every
// difference from the simulator fails here.
func TestScriptsOnZFS(t *testing.T) {
	if Kind() != lab.VM {
		t.Log("nothing to do with LAB=ns: its nodes have the simulator, on which make test runs the scripts; LAB=vm runs them on OpenZFS")
		return
	}
	record(t, "every script", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	files, err := filepath.Glob("../test/script/testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in ../test/script/testdata: %v", err)
	}
	dir := t.TempDir()
	bundle := bundleScripts(t, ctx, dir, files)
	programs, err := Build(ctx, lab.VM, dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.Up(ctx, lab.Options{Kind: lab.VM, HubProgram: programs.Hub, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	})
	// Each node has one processor: it runs every second script, one at a time.
	share := make([][]string, len(l.Nodes))
	for i, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		share[i%len(share)] = append(share[i%len(share)], name)
	}
	outputs := make([]string, len(l.Nodes))
	var all sync.WaitGroup
	for i, n := range l.Nodes {
		all.Go(func() { outputs[i] = runScripts(t, ctx, n, bundle, share[i]) })
	}
	all.Wait()
	for i, names := range share {
		for _, name := range names {
			verdict(t, outputs[i], name)
		}
	}
}

// bundleScripts makes an archive of the test program and the scripts.
func bundleScripts(t *testing.T, ctx context.Context, dir string, scripts []string) string {
	t.Helper()
	root := filepath.Join(dir, "scripts")
	target := filepath.Join(root, "testdata")
	if err := os.MkdirAll(target, 0o755); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(ctx, "go", "test", "-c", "-trimpath", "-o", filepath.Join(root, "scripts.test"), module+"/test/script")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the scripts' test program: %v\n%s", err, text)
	}
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err == nil {
			err = os.WriteFile(filepath.Join(target, filepath.Base(script)), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	bundle := filepath.Join(dir, "scripts.tar")
	if text, err := exec.CommandContext(ctx, "tar", "-cf", bundle, "-C", root, ".").CombinedOutput(); err != nil {
		t.Fatalf("pack the scripts: %v\n%s", err, text)
	}
	return bundle
}

// runScripts runs some scripts on a node and returns the output of the test
// program. Pools lie on the node's disk, since /tmp is in memory.
func runScripts(t *testing.T, ctx context.Context, n lab.Node, bundle string, names []string) string {
	if err := n.CopyTo(ctx, bundle, "/var/lib/understudy-disk/scripts.tar"); err != nil {
		t.Error(err)
		return ""
	}
	const script = `
		mkdir -p /var/lib/understudy-disk/scripts/tmp
		cd /var/lib/understudy-disk/scripts
		tar -xf ../scripts.tar
		export TMPDIR=$PWD/tmp UNDERSTUDY_ZFS=real UNDERSTUDY_NO_SKIP=1
		exec ./scripts.test -test.v -test.parallel 1 -test.timeout 14m -test.run "$1"`
	pattern := "^TestScripts$/^(" + strings.Join(names, "|") + ")$"
	var out bytes.Buffer
	_, err := n.Run(ctx, lab.Command{Argv: []string{"bash", "-euc", script, "scripts", pattern}, Stdout: &out, Stderr: &out})
	var exit *lab.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Error(err)
	}
	return out.String()
}

// verdict reports the result of a script as a test of its own. A script without
// a result has failed.
func verdict(t *testing.T, output, name string) {
	t.Run(name, func(t *testing.T) {
		result := regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): TestScripts/` + regexp.QuoteMeta(name) + ` \((.*)\)$`).FindStringSubmatch(output)
		switch {
		case result == nil:
			t.Errorf("it did not come to an end; the end of the output:\n%s", output[max(0, len(output)-3000):])
		case result[1] != "PASS":
			t.Errorf("%s in %s:\n%s", result[1], result[2], said(output, name))
		default:
			t.Logf("passed in %s on OpenZFS", result[2])
		}
	})
}

// said returns the output of the test program about one script.
func said(output, name string) string {
	var b strings.Builder
	on := false
	for line := range strings.Lines(output) {
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "=== ") || strings.HasPrefix(trimmed, "--- ") {
			on = strings.Contains(trimmed, "TestScripts/"+name)
		}
		if on {
			b.WriteString(line)
		}
	}
	return b.String()
}
