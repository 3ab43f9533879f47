package setup

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/understudy-ha/understudy/pkg/setup/machine"
)

// lines is a step that adds lines to a file of a node and keeps the other lines. same
// reports whether an existing line has the purpose of a required line; if it differs,
// it is replaced.
type lines struct {
	name  string
	node  *node
	path  string
	mode  fs.FileMode
	owner string
	// want returns the required lines when the step runs; none if they are not known
	// yet.
	want func(context.Context) ([]string, error)
	same func(there, wanted string) bool
	// later describes the lines while they are not known yet.
	later string
}

func (l lines) step() step {
	return step{name: l.name + " on " + l.node.name, check: l.check, do: l.do}
}

// edit returns the present and the required file, whether a line is replaced, and
// whether the required lines are known yet.
func (l lines) edit(ctx context.Context) (before machine.File, after string, replaced, known bool, err error) {
	want, err := l.want(ctx)
	if err != nil {
		return before, "", false, false, err
	}
	if before, err = l.node.Read(ctx, l.path); err != nil {
		return before, "", false, false, err
	}
	var kept []string
	for line := range strings.Lines(before.Text) {
		kept = append(kept, strings.TrimRight(line, "\r\n"))
	}
	for _, w := range want {
		if slices.Contains(kept, w) {
			continue
		}
		if i := slices.IndexFunc(kept, func(there string) bool { return l.same(there, w) }); i >= 0 {
			kept[i], replaced = w, true
			continue
		}
		kept = append(kept, w)
	}
	after = strings.Join(kept, "\n")
	if after != "" {
		after += "\n"
	}
	return before, after, replaced, len(want) > 0, nil
}

func (l lines) check(ctx context.Context) (stepState, error) {
	before, after, replaced, known, err := l.edit(ctx)
	if err != nil {
		return stepState{}, err
	}
	f := stepState{summary: l.path}
	change := string(diff.Diff(l.path, []byte(before.Text), l.path+" (required)", []byte(after)))
	switch {
	case !known:
		f.detail = l.later + "\n"
	case after == before.Text:
		f.done = true
	case replaced:
		f.differs = change
	default:
		f.detail = change
	}
	return f, nil
}

func (l lines) do(ctx context.Context) error {
	before, after, replaced, known, err := l.edit(ctx)
	if err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("%s: the required lines are not known yet", l.path)
	}
	if replaced {
		if err := backUp(ctx, l.node, l.path, before); err != nil {
			return err
		}
	}
	mode := l.mode
	if before.Found {
		mode = before.Mode
	}
	return l.node.Write(ctx, l.path, machine.File{Text: after, Mode: mode, Owner: l.owner})
}
