package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/exit"
)

// Main runs failover-notify: a command of this package in this process, any other
// in the whole program, which takes this process's place. It returns the exit code
// where there is no whole program.
func Main() int {
	if handles(os.Args[1:]) {
		cli.Main(newRoot)
	}
	err := becomeWhole(os.Args, os.Environ())
	fmt.Fprintf(os.Stderr, "failover-notify: error: %v\n", err)
	fmt.Fprintf(os.Stderr, "hint: install the package again; it puts the whole program into lib/understudy\n")
	return exit.Failed
}

// handles reports whether the arguments are those of a command of this package.
// Help is the whole program's, which knows all commands.
func handles(args []string) bool {
	if len(args) == 0 || slices.ContainsFunc(args, func(arg string) bool { return arg == "-h" || arg == "--help" }) {
		return false
	}
	return slices.Contains([]string{"event", "master", "backup", "fault", "stop", "peer", "gate"}, args[0])
}

// becomeWhole replaces this program by the whole one, under its own name. It
// returns only when that fails.
func becomeWhole(argv, environ []string) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the whole program: %w", err)
	}
	var missing []string
	for _, path := range wholePaths(program) {
		err := syscall.Exec(path, argv, environ)
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("start %s: %w", path, err)
		}
		missing = append(missing, path)
	}
	return fmt.Errorf("the whole program is missing: neither %s nor %s exists", missing[0], missing[1])
}

// wholePaths are where the whole program may be, by the path of the front: as
// installed (bin beside lib), and as built (bin/libexec).
func wholePaths(program string) []string {
	dir, name := filepath.Dir(program), "failover-notify"
	return []string{
		filepath.Join(filepath.Dir(dir), "lib", "understudy", name),
		filepath.Join(dir, "libexec", name),
	}
}
