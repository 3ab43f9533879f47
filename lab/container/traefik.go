package container

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const module = "github.com/understudy-ha/understudy"

// Traefik returns the program of the real Traefik, in the version of
// lab/traefik/go.mod. A missing program is built first, which takes five to ten
// minutes and 4 GiB of memory. Of several callers one builds it and the others
// wait. Progress goes to log. It needs a working directory in this module.
func Traefik(ctx context.Context, cache string, log io.Writer) (string, error) {
	source, hash, err := traefikSource(ctx)
	if err != nil {
		return "", err
	}
	program := filepath.Join(cache, "traefik-"+runtime.GOARCH+"-"+hash)
	// One rename puts it under its final name, complete.
	if _, err := os.Stat(program); err == nil {
		return program, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("look for Traefik: %w", err)
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(cache, "traefik.lock"), log)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	return program, buildTraefik(ctx, source, program, log)
}

// traefikSource returns the folder of Traefik's module and the first digits of
// the hash over its sources.
func traefikSource(ctx context.Context) (dir, hash string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", "", fmt.Errorf("find the module %s: %w; run inside its checkout", module, err)
	}
	dir = filepath.Join(strings.TrimSpace(string(root)), "lab", "traefik")
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", "", fmt.Errorf("read what Traefik is built from: %w", err)
		}
		fmt.Fprintf(sum, "%s %d\n", name, len(data))
		sum.Write(data)
	}
	return dir, hex.EncodeToString(sum.Sum(nil))[:12], nil
}

func buildTraefik(ctx context.Context, source, program string, log io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	partial := program + ".partial"
	defer os.Remove(partial)
	began := time.Now()
	say := func(text string) { fmt.Fprintf(log, "traefik: %3.0fs  %s\n", time.Since(began).Seconds(), text) }
	say("building it from source, once; this takes five to ten minutes")
	cmd := exec.CommandContext(ctx, "nice", "go", "build", "-trimpath", "-ldflags=-s -w", "-o", partial, "github.com/traefik/traefik/v3/cmd/traefik")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = 5 * time.Second
	// The compilers are children of the go command: the signal goes to the
	// whole group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("build Traefik: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case <-time.After(30 * time.Second):
			say("… still building")
		case err := <-ended:
			if err != nil {
				text := output.String()
				return fmt.Errorf("build Traefik in %s: %w; the end of what go said:\n%s", source, err, text[max(0, len(text)-2000):])
			}
			say("done")
			if err := os.Rename(partial, program); err != nil {
				return fmt.Errorf("build Traefik: %w", err)
			}
			return nil
		}
	}
}

// lock waits for its turn.
func lock(ctx context.Context, path string, log io.Writer) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock Traefik's build: %w", err)
	}
	for waited := 0; ; waited++ {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if waited%30 == 0 {
			fmt.Fprintf(log, "traefik: %3ds  another build holds %s; waiting\n", waited, path)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("wait for another build of Traefik: %w", context.Cause(ctx))
		case <-time.After(time.Second):
		}
	}
}
