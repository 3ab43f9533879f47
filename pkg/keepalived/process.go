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

// Running says whether a process of keepalived runs in this pid namespace.
// Nothing is started for it: only /proc is read.
func Running() (bool, error) { return running("/proc") }

func running(proc string) (bool, error) {
	dir, err := os.Open(proc)
	if err != nil {
		return false, fmt.Errorf("look for keepalived's processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return false, fmt.Errorf("look for keepalived's processes in %s: %w", proc, err)
	}
	for _, name := range names {
		if _, err := strconv.Atoi(name); err != nil {
			continue
		}
		alive, err := isKeepalived(filepath.Join(proc, name))
		if err != nil {
			return false, fmt.Errorf("look for keepalived's processes: %w", err)
		}
		if alive {
			return true, nil
		}
	}
	return false, nil
}

// isKeepalived reads a process's stat, which has its name and its state. One
// that is dead but not yet waited for does nothing more, so it does not count.
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
		return false, fmt.Errorf("%s/stat: %q is not what the kernel writes", dir, stat)
	}
	if string(stat[open+1:end]) != "keepalived" {
		return false, nil
	}
	state := stat[end+2]
	return state != 'Z' && state != 'X', nil
}
