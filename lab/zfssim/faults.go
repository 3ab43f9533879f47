package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// fault is one line of the faults file or of $ZFSSIM_FAULT:
//
//	COMMAND ACTION[=VALUE] [dataset=NAME] [count=N]
type fault struct {
	line    string
	command string
	action  string
	value   string
	dataset string
	count   int // 0: every time
}

// faults are the faults asked for; how often each happened is kept beside the
// file, so that a count holds over several processes.
type faults struct {
	list []fault
	used string
}

func loadFaults(root string) *faults {
	f := &faults{used: filepath.Join(root, "faults.used")}
	text, _ := os.ReadFile(filepath.Join(root, "faults"))
	all := string(text) + "\n" + strings.ReplaceAll(os.Getenv("ZFSSIM_FAULT"), ";", "\n")
	for _, line := range strings.Split(all, "\n") {
		words := strings.Fields(line)
		if len(words) < 2 || strings.HasPrefix(words[0], "#") {
			continue
		}
		x := fault{line: strings.Join(words, " "), command: words[0]}
		x.action, x.value, _ = strings.Cut(words[1], "=")
		if x.action == "busy" || x.action == "vanish" || x.action == "fail" {
			x.dataset = x.value
		}
		for _, w := range words[2:] {
			k, v, _ := strings.Cut(w, "=")
			switch k {
			case "dataset":
				x.dataset = v
			case "count":
				x.count, _ = strconv.Atoi(v)
			}
		}
		f.list = append(f.list, x)
	}
	return f
}

// match returns the fault that applies to a command on an object, and counts
// it; nil if there is none.
func (f *faults) match(command, action, object string) *fault {
	for i := range f.list {
		x := &f.list[i]
		if x.command != command || x.action != action {
			continue
		}
		if x.dataset != "" && x.dataset != object {
			base, _, _ := strings.Cut(object, "@")
			if x.dataset != base {
				continue
			}
		}
		if x.count > 0 && !f.take(x) {
			continue
		}
		return x
	}
	return nil
}

// take counts one use of a fault and says whether it was within its count.
func (f *faults) take(x *fault) bool {
	file, err := os.OpenFile(f.used, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return true
	}
	defer file.Close()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return true
	}
	used := map[string]int{}
	data, _ := os.ReadFile(f.used)
	json.Unmarshal(data, &used) // an empty file is nothing used
	if used[x.line] >= x.count {
		return false
	}
	used[x.line]++
	data, _ = json.Marshal(used)
	file.Truncate(0)
	file.WriteAt(data, 0)
	return true
}

// before applies the faults that any command can have: hang, delay and fail.
func (f *faults) before(a *app, command, args string) {
	for _, x := range f.list {
		if x.command != command || x.dataset != "" && !strings.Contains(args, x.dataset) {
			continue
		}
		switch x.action {
		case "hang":
			if x.count == 0 || f.take(&x) {
				for {
					time.Sleep(time.Hour)
				}
			}
		case "delay":
			if d, err := time.ParseDuration(x.value); err == nil && (x.count == 0 || f.take(&x)) {
				time.Sleep(d)
			}
		}
	}
}

// bytes is a fault's value as a number of bytes; -1 if there is no such fault.
func (f *faults) bytes(command, action, object string) int64 {
	x := f.match(command, action, object)
	if x == nil {
		return -1
	}
	n, ok := parseNumber(x.value)
	if !ok {
		return -1
	}
	return int64(n)
}
