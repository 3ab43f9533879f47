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

// file is a required file of a node.
type file struct {
	path string
	text string
	mode fs.FileMode
	// alternatives are paths at which a package may have installed it.
	alternatives []string
	// owner is a user name; "" is root.
	owner string
}

// fileState holds which of some files are missing or differ.
type fileState struct {
	missing, differing []file
	before             map[string]machine.File // content of the differing ones
	places             []string                // present or intended paths
}

// compare compares a node's files with the required ones.
func compare(ctx context.Context, n *node, files []file) (fileState, error) {
	s := fileState{before: map[string]machine.File{}}
	for _, f := range files {
		place := f.path
		there, err := n.Read(ctx, place)
		if err != nil {
			return s, err
		}
		for i := 0; i < len(f.alternatives) && !there.Found; i++ {
			packaged, err := n.Read(ctx, f.alternatives[i])
			if err != nil {
				return s, err
			}
			if packaged.Found { // the package's file counts, whatever its content
				there, there.Text, place = packaged, f.text, f.alternatives[i]
			}
		}
		switch {
		case !there.Found:
			s.missing = append(s.missing, f)
		case there.Text != f.text:
			s.differing = append(s.differing, f)
			s.before[f.path] = there
		}
		s.places = append(s.places, place)
	}
	return s, nil
}

// stepState describes the files as the state of a step.
func (s fileState) stepState() stepState {
	if len(s.missing)+len(s.differing) == 0 {
		return stepState{done: true, summary: strings.Join(s.places, ", ")}
	}
	var f stepState
	var paths []string
	for _, one := range s.missing {
		paths = append(paths, one.path)
		f.detail += fmt.Sprintf("%s (mode %04o):\n%s\n", one.path, one.mode, indent(one.text))
	}
	for _, one := range s.differing {
		paths = append(paths, one.path)
		f.differs += string(diff.Diff(one.path, []byte(s.before[one.path].Text), one.path+" (required)", []byte(one.text)))
	}
	f.summary = strings.Join(paths, ", ")
	return f
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}

// apply writes the files that are missing or differ, and saves copies of replaced ones.
func (s fileState) apply(ctx context.Context, n *node) error {
	for _, f := range s.differing {
		if err := backUp(ctx, n, f.path, s.before[f.path]); err != nil {
			return err
		}
	}
	for _, f := range slices.Concat(s.missing, s.differing) {
		if err := f.write(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (f file) write(ctx context.Context, n *node) error {
	return n.Write(ctx, f.path, machine.File{Text: f.text, Mode: f.mode, Owner: f.owner})
}

// backUp saves a copy of a file beside it. It overwrites no other copy.
func backUp(ctx context.Context, n *node, path string, old machine.File) error {
	for i := 0; ; i++ {
		to := path + ".orig"
		if i > 0 {
			to = fmt.Sprintf("%s.%d", to, i)
		}
		there, err := n.Read(ctx, to)
		if err != nil {
			return err
		}
		if there.Found && there.Text == old.Text {
			return nil
		}
		if !there.Found {
			return n.Write(ctx, to, old)
		}
	}
}

// files returns the step that writes files on a node.
func files(n *node, name string, list ...file) step {
	return step{
		name: name + " on " + n.name,
		check: func(ctx context.Context) (stepState, error) {
			s, err := compare(ctx, n, list)
			return s.stepState(), err
		},
		do: func(ctx context.Context) error {
			s, err := compare(ctx, n, list)
			if err != nil {
				return err
			}
			return s.apply(ctx, n)
		},
	}
}
