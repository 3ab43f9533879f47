package app

import (
	"bufio"
	"fmt"
	"io"

	"github.com/understudy-ha/understudy/lab/zfssim/model"
	"github.com/understudy-ha/understudy/lab/zfssim/store"
)

// version is the OpenZFS release whose behaviour is simulated.
const version = "2.3.9"

// Process is one run of the program.
type Process struct {
	// Args are the program's name, zfs or zpool, and its arguments.
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// StdinTerminal and StdoutTerminal are set for streams that are terminals.
	StdinTerminal, StdoutTerminal bool
	// Root is the folder of the store.
	Root string
	// Faults are more faults than those in the store's file, separated by ";".
	Faults string
}

// App is one run of the program: its streams, its store and its faults.
type App struct {
	Out    *bufio.Writer
	Raw    io.Writer // standard output for streams
	Err    io.Writer
	In     io.Reader
	Store  *store.Store
	Faults *store.Faults
	Cmd    string // the command being run, for its usage text
	Pool   bool   // it is one of zpool

	InTerminal, OutTerminal bool
}

// Command is one subcommand; it returns the exit code.
type Command func(a *App, args []string) int

// Version is zfs version and zpool version.
func Version(a *App, _ []string) int {
	fmt.Fprintf(a.Out, "zfs-%s-1\nzfs-kmod-%s-1\n", version, version)
	return 0
}

// Fail prints "what: why" on standard error, as libzfs does, and returns 1.
func (a *App) Fail(what, why string) int {
	fmt.Fprintf(a.Err, "%s: %s\n", what, why)
	return 1
}

// Failf prints a line on standard error and returns 1.
func (a *App) Failf(format string, args ...any) int {
	fmt.Fprintf(a.Err, format+"\n", args...)
	return 1
}

// Begin takes the store's lock, for writing or for reading only.
func (a *App) Begin(write bool) bool {
	if err := a.Store.Begin(write); err != nil {
		fmt.Fprintf(a.Err, "zfssim: %v\n", err)
		return false
	}
	return true
}

// Commit makes the changes under the lock durable and releases the lock.
func (a *App) Commit() bool {
	if err := a.Store.Commit(); err != nil {
		fmt.Fprintf(a.Err, "zfssim: %v\n", err)
		return false
	}
	a.Store.End()
	return true
}

// Open finds an object of one of the kinds, as zfs_open does; if there is
// none it has printed why.
func (a *App) Open(name string, kinds int) (model.Object, bool) {
	what := fmt.Sprintf("cannot open '%s'", name)
	if why := model.CheckName(name, kinds, false); why != "" {
		a.Fail(what, why)
		return model.Object{}, false
	}
	o, ok := a.Store.Find(name)
	if !ok {
		a.Fail(what, "dataset does not exist")
		return model.Object{}, false
	}
	if o.Kind()&kinds == 0 {
		a.Fail(what, "operation not applicable to datasets of this type")
		return model.Object{}, false
	}
	return o, true
}
