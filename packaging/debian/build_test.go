//go:build drill

package debian

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/internal/testhost"
)

// patience bounds everything that a test runs.
const patience = 8 * time.Minute

// command runs a program of this machine and returns what it wrote to stdout.
func command(t *testing.T, dir string, env []string, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(argv, " "), err, out, stderr.String())
	}
	return string(out)
}

// sources copies what a build needs, without what earlier builds have left.
func sources(t *testing.T, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	pack := exec.CommandContext(t.Context(), "tar", "-c", "--exclude=./.git", "--exclude=./bin", "--exclude=./dist", ".")
	pack.Dir = "../.."
	unpack := exec.CommandContext(t.Context(), "tar", "-x", "-C", to)
	var err error
	if unpack.Stdin, err = pack.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := unpack.Start(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(pack.Run(), unpack.Wait()); err != nil {
		t.Fatal(err)
	}
}

// build makes packages from a copy of the sources and returns the folder in
// which they lie.
func build(t *testing.T, sources, version, architectures string, env ...string) (dist string) {
	t.Helper()
	env = append(env, "SOURCE_DATE_EPOCH=1790000000")
	command(t, sources, env, "make", "package", "VERSION="+version, "ARCHS="+architectures)
	return filepath.Join(sources, "dist")
}

func sum(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// fields are those of a package's control file.
func fields(t *testing.T, deb string) map[string]string {
	t.Helper()
	result := map[string]string{}
	for line := range strings.Lines(command(t, ".", nil, "dpkg-deb", "--field", deb)) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); ok {
			result[name] = value
		}
	}
	return result
}

// content is a package's list of files, as "MODE OWNER PATH", without programs.
func content(t *testing.T, deb string) (list []string) {
	t.Helper()
	for line := range strings.Lines(command(t, ".", []string{"TZ=UTC"}, "dpkg-deb", "--contents", deb)) {
		f := strings.Fields(line)
		list = append(list, f[0]+" "+f[1]+" "+strings.Join(f[5:], " "))
	}
	return list
}

// lintian fails the test for each error it names; the overrides say why what
// they allow is meant.
func lintian(t *testing.T, deb string) {
	t.Helper()
	if _, err := exec.LookPath("lintian"); err != nil {
		testhost.Missing(t, "lintian is not installed: make setup")
	}
	out := command(t, ".", nil, "lintian", "--allow-root", "--fail-on", "none", deb)
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "N:") {
			t.Errorf("lintian: %s", strings.TrimSpace(line))
		}
	}
}

// testBuild checks what needs no node, and returns a package and its successor
// for this machine.
func testBuild(t *testing.T) (first, second string) {
	here, there := filepath.Join(t.TempDir(), "here"), filepath.Join(t.TempDir(), "some where", "else")
	sources(t, here)
	dist := build(t, here, "v1.2.3", "amd64 arm64")
	first = filepath.Join(dist, "understudy_1.2.3_amd64.deb")
	foreign := filepath.Join(dist, "understudy_1.2.3_arm64.deb")

	// Nothing of the machine may get in: neither where it lies, nor the locale,
	// nor the time zone, nor who may read the sources.
	sources(t, there)
	command(t, there, nil, "chmod", "-R", "go-rwx", ".")
	command(t, there, nil, "find", ".", "-exec", "touch", "-d", "2001-01-01", "{}", "+")
	again := build(t, there, "v1.2.3", "amd64", "TZ=Pacific/Auckland", "LC_ALL=C.UTF-8", "LANGUAGE=de")
	if a, b := sum(t, first), sum(t, filepath.Join(again, filepath.Base(first))); a != b {
		t.Errorf("two builds differ: %s and %s", a, b)
	}

	for deb, architecture := range map[string]string{first: "amd64", foreign: "arm64"} {
		f := fields(t, deb)
		if f["Package"] != "understudy" || f["Version"] != "1.2.3" || f["Architecture"] != architecture {
			t.Errorf("%s: %v", deb, f)
		}
		if f["Depends"] != "" {
			t.Errorf("%s depends on %s: static programs need nothing", deb, f["Depends"])
		}
	}
	if a, b := strings.Join(content(t, first), "\n"), strings.Join(content(t, foreign), "\n"); a != b {
		t.Errorf("the packages hold different files:\n%s\n\n%s", a, b)
	}
	platform := map[string]string{first: "EM_X86_64", foreign: "EM_AARCH64"}
	for deb, want := range platform {
		root := t.TempDir()
		command(t, ".", nil, "dpkg-deb", "-x", deb, root)
		for _, program := range programs {
			if got := machine(t, filepath.Join(root, "usr/bin", program)); got != want {
				t.Errorf("%s in %s is for %s", program, filepath.Base(deb), got)
			}
		}
	}
	lintian(t, first)
	testOtherSystems(t, here)

	// To upgrade to, another version is enough: the programs may be the same.
	command(t, there, []string{"SOURCE_DATE_EPOCH=1790000000"}, "scripts/package.sh", "v1.2.4", "bin/pages", "amd64=bin")
	return first, filepath.Join(there, "dist", "understudy_1.2.4_amd64.deb")
}
