package store

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
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

// Faults are the faults asked for; how often each happened is kept beside the
// file, so that a count holds over several processes.
type Faults struct {
	list  []fault
	files machine.Files
	root  string
}

// LoadFaults reads the faults of a store and those of more, which ";" separates.
func LoadFaults(files machine.Files, root, more string) *Faults {
	f := &Faults{files: files, root: root}
	text, _ := files.Read(filepath.Join(root, "faults"))
	all := string(text) + "\n" + strings.ReplaceAll(more, ";", "\n")
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

// Match returns the fault that applies to a command on an object, and counts
// it; nil if there is none.
func (f *Faults) Match(command, action, object string) *fault {
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

// take counts one use of a fault and reports whether it was within its count.
func (f *Faults) take(x *fault) bool {
	lockFile, usedFile := filepath.Join(f.root, "faults.lock"), filepath.Join(f.root, "faults.used")
	if f.files.Append(lockFile, nil) != nil {
		return true
	}
	lock, err := f.files.Lock(lockFile, machine.LockMode{Exclusive: true})
	if err != nil {
		return true
	}
	defer lock.Close()
	used := map[string]int{}
	data, _ := f.files.Read(usedFile)
	json.Unmarshal(data, &used) // an empty file is nothing used
	if used[x.line] >= x.count {
		return false
	}
	used[x.line]++
	data, _ = json.Marshal(used)
	return f.files.Replace(usedFile, data) == nil
}

// Before applies the faults that any command can have: hang and delay.
func (f *Faults) Before(ctx context.Context, command, args string) {
	for _, x := range f.list {
		if x.command != command || x.dataset != "" && !strings.Contains(args, x.dataset) {
			continue
		}
		switch x.action {
		case "hang":
			if x.count == 0 || f.take(&x) {
				for ctx.Err() == nil {
					wait(ctx, time.Hour)
				}
			}
		case "delay":
			if d, err := time.ParseDuration(x.value); err == nil && (x.count == 0 || f.take(&x)) {
				wait(ctx, d)
			}
		}
	}
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Bytes is a fault's value as a number of bytes; -1 if there is no such fault.
func (f *Faults) Bytes(command, action, object string) int64 {
	x := f.Match(command, action, object)
	if x == nil {
		return -1
	}
	n, ok := model.ParseNumber(x.value)
	if !ok {
		return -1
	}
	return int64(n)
}
