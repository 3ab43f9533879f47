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

// file is a file as it is wanted on a node.
type file struct {
	path string
	text string
	mode fs.FileMode
	// instead are places in which a package may have put it.
	instead []string
	// owner is a user's name; "" is root.
	owner string
}

// standing is what of some files is missing or differs.
type standing struct {
	missing, differing []file
	before             map[string]machine.File // of the differing ones
	places             []string                // in which they are, or will be
}

// compare looks which of the files are there.
func compare(ctx context.Context, n *node, files []file) (standing, error) {
	s := standing{before: map[string]machine.File{}}
	for _, f := range files {
		place := f.path
		there, err := n.Read(ctx, place)
		if err != nil {
			return s, err
		}
		for i := 0; i < len(f.instead) && !there.Found; i++ {
			packaged, err := n.Read(ctx, f.instead[i])
			if err != nil {
				return s, err
			}
			if packaged.Found { // the package's own, whatever its release has in it
				there, there.Text, place = packaged, f.text, f.instead[i]
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

// found says it in words.
func (s standing) found() found {
	if len(s.missing)+len(s.differing) == 0 {
		return found{done: true, says: strings.Join(s.places, ", ")}
	}
	var f found
	var says []string
	for _, one := range s.missing {
		says = append(says, one.path)
		f.detail += fmt.Sprintf("%s (mode %04o):\n%s\n", one.path, one.mode, indent(one.text))
	}
	for _, one := range s.differing {
		says = append(says, one.path)
		f.differs += string(diff.Diff(one.path, []byte(s.before[one.path].Text), one.path+" (wanted)", []byte(one.text)))
	}
	f.says = strings.Join(says, ", ")
	return f
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}

// apply writes what is missing or differs. Of what is replaced a copy stays.
func (s standing) apply(ctx context.Context, n *node) error {
	for _, f := range s.differing {
		if err := keep(ctx, n, f.path, s.before[f.path]); err != nil {
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

// keep puts a copy of a file beside it, over no other copy.
func keep(ctx context.Context, n *node, path string, old machine.File) error {
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

// files is the step that puts files on a node.
func files(n *node, name string, list ...file) step {
	return step{
		name: name + " on " + n.name,
		look: func(ctx context.Context) (found, error) {
			s, err := compare(ctx, n, list)
			return s.found(), err
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
