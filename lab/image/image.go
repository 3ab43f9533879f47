package image

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed build.sh customize.sh bootable.sh unpack-kernel.sh disk.sh initrd-init files
var recipe embed.FS

// Stage is a stage of the image.
type Stage string

const (
	// Base is the userland alone, which namespace nodes need. It takes about a
	// minute to make.
	Base Stage = "base"
	// Full is Base with kernel, OpenZFS and the programs of the benchmarks. It
	// takes about ten minutes to make.
	Full Stage = "full"
)

// Image is a finished image in the cache.
type Image struct {
	Stage Stage
	// Dir holds the files of the image and never changes.
	Dir string
}

// Rootfs is the unpacked system.
func (i Image) Rootfs() string { return filepath.Join(i.Dir, "rootfs") }

// Kernel is the unpacked ELF kernel; in Full only, like Initrd and Disk.
func (i Image) Kernel() string { return filepath.Join(i.Dir, "vmlinux") }

// Initrd is the initial ram disk that starts what the node's archive brings.
func (i Image) Initrd() string { return filepath.Join(i.Dir, "initrd.img") }

// Disk is the raw root disk that nodes put their overlays on.
func (i Image) Disk() string { return filepath.Join(i.Dir, "disk.img") }

// CacheDir is the folder of images and of the disks of running labs:
// $UNDERSTUDY_CACHE/lab, by default /var/cache/understudy/lab.
func CacheDir() string {
	root := os.Getenv("UNDERSTUDY_CACHE")
	if root == "" {
		root = "/var/cache/understudy"
	}
	return filepath.Join(root, "lab")
}

// Find returns the image of the current recipe if the cache has it.
func Find(stage Stage) (Image, bool, error) {
	hash, err := recipeHash()
	if err != nil {
		return Image{}, false, err
	}
	img := Image{Stage: stage, Dir: filepath.Join(CacheDir(), fmt.Sprintf("%s-%s", stage, hash))}
	// One rename puts the complete folder under its final name.
	if _, err := os.Stat(img.Rootfs()); errors.Is(err, fs.ErrNotExist) {
		return img, false, nil
	} else if err != nil {
		return img, false, fmt.Errorf("look for the %s image: %w", stage, err)
	}
	return img, true, nil
}

// Ensure returns the image of the current recipe and makes it first if the
// cache lacks it. Of several callers one makes it and the others wait. Progress
// goes to log. Images of older recipes are removed, except those whose folder
// has a shared flock(2), as of running labs.
func Ensure(ctx context.Context, stage Stage, log io.Writer) (Image, error) {
	if stage != Base && stage != Full {
		return Image{}, fmt.Errorf("image stage %q: want %s or %s", stage, Base, Full)
	}
	img, found, err := Find(stage)
	if err != nil || found {
		return img, err
	}
	if err := os.MkdirAll(CacheDir(), 0o755); err != nil {
		return img, fmt.Errorf("make the image cache: %w", err)
	}
	unlock, err := lockBuilds(ctx, stage, log)
	if err != nil {
		return img, err
	}
	defer unlock()
	// Another process may have made it meanwhile.
	if img, found, err = Find(stage); err != nil || found {
		return img, err
	}
	if err := build(ctx, img, log); err != nil {
		return img, err
	}
	return img, prune(img)
}

// recipeHash identifies the recipe: the first digits of the SHA-256 over the
// names and contents of its files.
func recipeHash() (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(recipe, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := recipe.ReadFile(path)
		fmt.Fprintf(sum, "%s %d\n", path, len(data))
		sum.Write(data)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read the image recipe: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil))[:12], nil
}

// lockBuilds waits for its turn to make images of that stage.
func lockBuilds(ctx context.Context, stage Stage, log io.Writer) (func(), error) {
	path := filepath.Join(CacheDir(), string(stage)+".lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock image builds: %w", err)
	}
	for waited := time.Duration(0); ; waited += time.Second {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if waited%(30*time.Second) == 0 {
			fmt.Fprintf(log, "image %s: %3.0fs  another build holds %s; waiting\n", stage, waited.Seconds(), path)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("wait for another build of the %s image: %w", stage, context.Cause(ctx))
		case <-time.After(time.Second):
		}
	}
}

// build runs the recipe in namespaces of its own: its mounts and processes end
// with it, even when it is killed.
func build(ctx context.Context, img Image, log io.Writer) error {
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return fmt.Errorf("make the %s image: mmdebstrap is missing; run make setup", img.Stage)
	}
	scripts, err := os.MkdirTemp("", "understudy-recipe-")
	if err != nil {
		return fmt.Errorf("unpack the image recipe: %w", err)
	}
	defer os.RemoveAll(scripts)
	if err := os.CopyFS(scripts, recipe); err != nil {
		return fmt.Errorf("unpack the image recipe: %w", err)
	}
	executables, err := filepath.Glob(filepath.Join(scripts, "*.sh"))
	if err != nil {
		return fmt.Errorf("unpack the image recipe: %w", err)
	}
	for _, script := range executables {
		if err := os.Chmod(script, 0o755); err != nil {
			return fmt.Errorf("unpack the image recipe: %w", err)
		}
	}

	ctx, cancel := context.WithTimeout(ctx, 90*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		filepath.Join(scripts, "build.sh"), string(img.Stage), img.Dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("make the %s image: %w; the lines above say what failed", img.Stage, err)
	}
	return nil
}

// prune removes the images of older recipes of the same stage that no lab uses.
func prune(keep Image) error {
	siblings, err := filepath.Glob(filepath.Join(CacheDir(), string(keep.Stage)+"-*"))
	if err != nil {
		return fmt.Errorf("prune old images: %w", err)
	}
	for _, old := range siblings {
		// The build lock is held: a .partial has no owner.
		if old == keep.Dir || strings.HasSuffix(old, ".lock") {
			continue
		}
		if err := removeUnused(old); err != nil {
			return fmt.Errorf("prune old images: %w", err)
		}
	}
	return nil
}

func removeUnused(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	} else if err != nil {
		return err
	}
	return os.RemoveAll(path)
}
