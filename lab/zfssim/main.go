package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
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

// app is one run of the program: its streams, its store and its faults.
type app struct {
	out    *bufio.Writer
	raw    io.Writer // standard output for streams
	err    io.Writer
	in     io.Reader
	store  *store
	faults *faults
	cmd    string // the command being run, for its usage text
	pool   bool   // it is one of zpool

	inTerminal, outTerminal bool
}

// command is one subcommand; it returns the exit code.
type command func(a *app, args []string) int

// killed is the exit code of a process that SIGKILL has ended.
const killed = 137

// Run runs zfs or zpool on a machine and returns the exit code. When ctx ends
// before the command has begun, as in a hang, nothing is done.
func Run(ctx context.Context, m *Machine, p Process) int {
	a := &app{out: bufio.NewWriterSize(p.Stdout, 64<<10), raw: p.Stdout, err: p.Stderr, in: p.Stdin,
		inTerminal: p.StdinTerminal, outTerminal: p.StdoutTerminal}
	defer a.out.Flush()
	name := filepath.Base(p.Args[0])
	args := p.Args[1:]
	if name != "zfs" && name != "zpool" { // zfssim zfs list …
		if len(args) == 0 {
			fmt.Fprintln(a.err, "zfssim: call it as zfs or zpool, or name one of them as the first argument")
			return 2
		}
		name, args = args[0], args[1:]
	}
	table := zfsCommands()
	if name == "zpool" {
		table, a.pool = zpoolCommands(), true
	}
	if len(args) == 0 {
		fmt.Fprintf(a.err, "missing command\nusage: %s command args ...\n", name)
		return 2
	}
	a.cmd = strings.TrimLeft(args[0], "-")
	if a.cmd == "V" {
		a.cmd = "version"
	}
	fn, ok := table[a.cmd]
	if !ok {
		fmt.Fprintf(a.err, "unrecognized command '%s'\nusage: %s command args ...\n", args[0], name)
		return 2
	}
	a.faults = loadFaults(m.Files, p.Root, p.Faults)
	a.store = newStore(m, p.Root, a.faults)
	defer a.store.end()
	a.faults.before(ctx, a.cmd, strings.Join(args[1:], " "))
	if ctx.Err() != nil {
		return killed
	}
	return fn(a, args[1:])
}

func zfsCommands() map[string]command {
	return map[string]command{
		"list": cmdList, "get": cmdGet, "set": cmdSet, "inherit": cmdInherit,
		"create": cmdCreate, "destroy": cmdDestroy, "snapshot": cmdSnapshot, "snap": cmdSnapshot,
		"bookmark": cmdBookmark, "hold": cmdHold, "release": cmdRelease, "holds": cmdHolds,
		"clone": cmdClone, "promote": cmdPromote, "rename": cmdRename, "rollback": cmdRollback,
		"send": cmdSend, "receive": cmdReceive, "recv": cmdReceive,
		"mount": cmdMount, "unmount": cmdUnmount, "umount": cmdUnmount,
		"load-key": cmdLoadKey, "unload-key": cmdUnloadKey, "change-key": cmdChangeKey,
		"diff": cmdDiff, "version": cmdVersion, "allow": cmdNothing, "unallow": cmdNothing,
	}
}

func cmdVersion(a *app, _ []string) int {
	fmt.Fprintf(a.out, "zfs-%s-1\nzfs-kmod-%s-1\n", version, version)
	return 0
}

// cmdNothing accepts a command whose effect the project never looks at.
func cmdNothing(*app, []string) int { return 0 }

// fail prints "what: why" on standard error, as libzfs does, and returns 1.
func (a *app) fail(what, why string) int {
	fmt.Fprintf(a.err, "%s: %s\n", what, why)
	return 1
}

// failf prints a line on standard error and returns 1.
func (a *app) failf(format string, args ...any) int {
	fmt.Fprintf(a.err, format+"\n", args...)
	return 1
}

// begin takes the store's lock, for writing or for reading only.
func (a *app) begin(write bool) bool {
	if err := a.store.begin(write); err != nil {
		fmt.Fprintf(a.err, "zfssim: %v\n", err)
		return false
	}
	return true
}

// commit makes what was changed under the lock durable and gives the lock back.
func (a *app) commit() bool {
	if err := a.store.commit(); err != nil {
		fmt.Fprintf(a.err, "zfssim: %v\n", err)
		return false
	}
	a.store.end()
	return true
}
