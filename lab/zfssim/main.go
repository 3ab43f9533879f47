package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/command"
	"github.com/understudy-ha/understudy/lab/zfssim/host"
)

func main() { os.Exit(simulate()) }

// simulate runs this process as zfs or zpool on this machine.
func simulate() int {
	root, err := filepath.Abs(variable("ZFSSIM_ROOT", "/var/lib/zfssim"))
	if err != nil {
		fmt.Fprintf(os.Stderr, "zfssim: %v\n", err)
		return 1
	}
	return command.Run(context.Background(), host.New(variable("ZFSSIM_ZVOL_DIR", "/dev/zvol")), app.Process{
		Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		StdinTerminal: isTerminal(os.Stdin), StdoutTerminal: isTerminal(os.Stdout),
		Root: root, Faults: os.Getenv("ZFSSIM_FAULT"),
	})
}

func variable(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
