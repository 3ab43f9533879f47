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

// lines is the step that adds lines to a file of a node and leaves the others
// alone. same says of a line that is there whether it stands for a wanted one;
// one that does and differs is replaced.
type lines struct {
	name  string
	node  *node
	path  string
	mode  fs.FileMode
	owner string
	// want are the lines. It is asked when the step's turn has come; none are
	// told where they can't be known yet.
	want func(context.Context) ([]string, error)
	same func(there, wanted string) bool
	// later says what will be added, where that is not known yet.
	later string
}

func (l lines) step() step {
	return step{name: l.name + " on " + l.node.name, look: l.look, do: l.do}
}

// edit returns the file as it is and as it is wanted, whether one of its lines
// is replaced, and whether it is known yet what is wanted.
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

func (l lines) look(ctx context.Context) (found, error) {
	before, after, replaced, known, err := l.edit(ctx)
	if err != nil {
		return found{}, err
	}
	f := found{says: l.path}
	change := string(diff.Diff(l.path, []byte(before.Text), l.path+" (wanted)", []byte(after)))
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
		return fmt.Errorf("%s: what is to stand there is not known", l.path)
	}
	if replaced {
		if err := keep(ctx, l.node, l.path, before); err != nil {
			return err
		}
	}
	mode := l.mode
	if before.Found {
		mode = before.Mode
	}
	return l.node.Write(ctx, l.path, machine.File{Text: after, Mode: mode, Owner: l.owner})
}
