package command

import (
	"bufio"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/store"
	"github.com/understudy-ha/understudy/lab/zfssim/transfer"
	"github.com/understudy-ha/understudy/lab/zfssim/zpool"
)

// killed is the exit code of a process that SIGKILL has ended.
const killed = 137

// Run runs zfs or zpool on a machine and returns the exit code. It does nothing
// when ctx ends before the command begins, as in a hang. A later end of ctx does
// not stop it: to kill a run, let its streams panic with machine.Killed.
func Run(ctx context.Context, m *machine.Machine, p app.Process) (code int) {
	defer func() {
		if cause := recover(); cause != nil {
			if _, ok := cause.(machine.Killed); !ok {
				panic(cause)
			}
			code = killed
		}
	}()
	a := &app.App{Out: bufio.NewWriterSize(p.Stdout, 64<<10), Raw: p.Stdout, Err: p.Stderr, In: p.Stdin,
		InTerminal: p.StdinTerminal, OutTerminal: p.StdoutTerminal}
	defer a.Out.Flush()
	name := filepath.Base(p.Args[0])
	args := p.Args[1:]
	if name != "zfs" && name != "zpool" { // zfssim zfs list …
		if len(args) == 0 {
			fmt.Fprintln(a.Err, "zfssim: call it as zfs or zpool, or name one of them as the first argument")
			return 2
		}
		name, args = args[0], args[1:]
	}
	table := zfsCommands()
	if name == "zpool" {
		table, a.Pool = zpool.Commands(), true
	}
	if len(args) == 0 {
		fmt.Fprintf(a.Err, "missing command\nusage: %s command args ...\n", name)
		return 2
	}
	a.Cmd = strings.TrimLeft(args[0], "-")
	if a.Cmd == "V" {
		a.Cmd = "version"
	}
	fn, ok := table[a.Cmd]
	if !ok {
		fmt.Fprintf(a.Err, "unrecognized command '%s'\nusage: %s command args ...\n", args[0], name)
		return 2
	}
	a.Faults = store.LoadFaults(m.Files, p.Root, p.Faults)
	a.Store = store.New(m, p.Root, a.Faults)
	defer a.Store.End()
	a.Faults.Before(ctx, a.Cmd, strings.Join(args[1:], " "))
	if ctx.Err() != nil {
		return killed
	}
	return fn(a, args[1:])
}

func zfsCommands() map[string]app.Command {
	return map[string]app.Command{
		"list": cmdList, "get": cmdGet, "set": cmdSet, "inherit": cmdInherit,
		"create": cmdCreate, "destroy": cmdDestroy, "snapshot": cmdSnapshot, "snap": cmdSnapshot,
		"bookmark": cmdBookmark, "hold": cmdHold, "release": cmdRelease, "holds": cmdHolds,
		"clone": cmdClone, "promote": cmdPromote, "rename": cmdRename, "rollback": cmdRollback,
		"send": transfer.Send, "receive": transfer.Receive, "recv": transfer.Receive,
		"mount": cmdMount, "unmount": cmdUnmount, "umount": cmdUnmount,
		"load-key": cmdLoadKey, "unload-key": cmdUnloadKey, "change-key": cmdChangeKey,
		"diff": cmdDiff, "version": app.Version, "allow": cmdNothing, "unallow": cmdNothing,
	}
}

// cmdNothing accepts a command whose effect the project never looks at.
func cmdNothing(*app.App, []string) int { return 0 }
