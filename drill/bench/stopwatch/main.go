// Command stopwatch runs programs in turns, on the node that they are measured
// on, and prints what each run took as JSON: for each program a list of
// {"seconds": wall time, "cpu": seconds of processor time, "bytes": largest
// resident size}. What the programs print is dropped.
//
//	stopwatch ROUNDS PAUSE -- PROGRAM ARGUMENT… [-- PROGRAM ARGUMENT…]…
//
// A shell's own clock is too coarse, and its fork too dear, for programs that
// take milliseconds.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lap is one run of a program.
type lap struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"`
	Bytes   int64   `json:"bytes"`
}

func main() {
	if err := measure(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "stopwatch: error:", err)
		os.Exit(1)
	}
}

func measure(args []string) error {
	if len(args) < 4 {
		return fmt.Errorf("%d arguments: want ROUNDS PAUSE -- PROGRAM ARGUMENT…", len(args))
	}
	rounds, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	pause, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	var programs [][]string
	for _, word := range args[2:] {
		if word == "--" {
			programs = append(programs, nil)
			continue
		}
		if len(programs) == 0 {
			return fmt.Errorf("%q stands before the first --", word)
		}
		last := &programs[len(programs)-1]
		*last = append(*last, word)
	}
	laps := make([][]lap, len(programs))
	for range rounds {
		for i, argv := range programs {
			one, err := run(argv)
			if err != nil {
				return err
			}
			laps[i] = append(laps[i], one)
			time.Sleep(pause)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(laps)
}

func run(argv []string) (lap, error) {
	var stderr strings.Builder
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = &stderr
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	if err != nil {
		return lap{}, fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, stderr.String())
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	// The kernel counts in KiB.
	return lap{took.Seconds(), cpu.Seconds(), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10}, nil
}
