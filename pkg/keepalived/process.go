package keepalived

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// Finder finds keepalived's processes. It is for one goroutine at a time.
type Finder struct {
	found string // folder in /proc of the last process found
}

// Running reports whether a process of keepalived runs in this pid namespace. It starts
// no program: it reads /proc, and only one file while the last process found runs.
func (f *Finder) Running() (bool, error) {
	if f.found != "" {
		if alive, err := isKeepalived(f.found); err == nil && alive {
			return true, nil
		}
	}
	var err error
	f.found, err = process("/proc")
	return f.found != "", err
}

// process returns the folder of one of keepalived's processes, or "".
func process(proc string) (string, error) {
	dir, err := os.Open(proc)
	if err != nil {
		return "", fmt.Errorf("find keepalived's processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return "", fmt.Errorf("find keepalived's processes in %s: %w", proc, err)
	}
	for _, name := range names {
		if _, err := strconv.Atoi(name); err != nil {
			continue
		}
		folder := filepath.Join(proc, name)
		alive, err := isKeepalived(folder)
		if err != nil {
			return "", fmt.Errorf("find keepalived's processes: %w", err)
		}
		if alive {
			return folder, nil
		}
	}
	return "", nil
}

// isKeepalived reports whether a process is keepalived, by its stat. A zombie does not
// count.
func isKeepalived(dir string) (bool, error) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	switch {
	case errors.Is(err, fs.ErrNotExist), isGone(err):
		return false, nil // it has just ended
	case err != nil:
		return false, err
	}
	// PID (NAME) STATE …; a name may hold parentheses and blanks.
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open || end+2 >= len(stat) {
		return false, fmt.Errorf("parse %s/stat: unexpected content %q", dir, stat)
	}
	if string(stat[open+1:end]) != "keepalived" {
		return false, nil
	}
	state := stat[end+2]
	return state != 'Z' && state != 'X', nil
}
