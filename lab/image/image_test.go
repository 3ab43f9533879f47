package image

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFindWantsTheWholeImage(t *testing.T) {
	t.Setenv("UNDERSTUDY_CACHE", t.TempDir())
	img, found, err := Find(Base)
	if err != nil || found {
		t.Fatalf("in an empty cache: %t, %v", found, err)
	}
	// The remains of a killed build.
	if err := os.MkdirAll(img.Dir+".partial/rootfs", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, found, err := Find(Base); err != nil || found {
		t.Fatalf("a half-made image: %t, %v", found, err)
	}
	if err := os.Rename(img.Dir+".partial", img.Dir); err != nil {
		t.Fatal(err)
	}
	if _, found, err := Find(Base); err != nil || !found {
		t.Fatalf("a finished image: %t, %v", found, err)
	}
	if _, found, err := Find(Full); err != nil || found {
		t.Fatalf("the other stage: %t, %v", found, err)
	}
}

func TestEnsureRefusesUnknownStage(t *testing.T) {
	if _, err := Ensure(t.Context(), "half", os.Stderr); err == nil {
		t.Error("an unknown stage was accepted")
	}
}

func TestBuildersWaitForEachOther(t *testing.T) {
	t.Setenv("UNDERSTUDY_CACHE", t.TempDir())
	if err := os.MkdirAll(CacheDir(), 0o755); err != nil {
		t.Fatal(err)
	}
	unlock, err := lockBuilds(t.Context(), Base, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var said bytes.Buffer
	if _, err := lockBuilds(ctx, Base, &said); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second builder got %v", err)
	}
	if !strings.Contains(said.String(), "waiting") {
		t.Errorf("the second builder said %q", said.String())
	}
	other, err := lockBuilds(t.Context(), Full, os.Stderr)
	if err != nil {
		t.Fatalf("the other stage's builder: %v", err)
	}
	other()
	unlock()
	again, err := lockBuilds(t.Context(), Base, os.Stderr)
	if err != nil {
		t.Fatalf("after the first was done: %v", err)
	}
	again()
}

func TestPruneSparesTheNewestAndTheUsed(t *testing.T) {
	t.Setenv("UNDERSTUDY_CACHE", t.TempDir())
	path := func(name string) string { return filepath.Join(CacheDir(), name) }
	for _, name := range []string{"base-new", "base-old", "base-used", "base-killed.partial", "full-old"} {
		if err := os.MkdirAll(path(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	used, err := os.Open(path("base-used"))
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	if err := unix.Flock(int(used.Fd()), unix.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	if err := prune(Image{Stage: Base, Dir: path("base-new")}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"base-new": true, "base-used": true, "full-old": true, "base-old": false, "base-killed.partial": false,
	} {
		if _, err := os.Stat(path(name)); (err == nil) != want {
			t.Errorf("%s is there: %t, want %t", name, err == nil, want)
		}
	}
}
