package zfs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/run"
)

// DemotedProperty is the user property in which a released dataset stores its
// earlier properties. Only a local value counts: datasets below inherit it, and
// streams carry it.
const DemotedProperty = "understudy:demoted"

// NoStream is the value of StreamProperty of a former replica that stays read-only
// by choice and is no longer a replica.
const NoStream = "none"

// Property is one property of a dataset. All fields are "" if it is not set.
type Property struct {
	Value    string
	Received string // value that a stream brought, in effect or not
	Source   string // local, received, default, temporary, "inherited from NAME"
}

// Local returns the value that was set on the dataset itself, or "".
func (p Property) Local() string {
	if p.Source != "local" {
		return ""
	}
	return p.Value
}

// From returns the dataset that the value is inherited from, or "".
func (p Property) From() string {
	from, inherited := strings.CutPrefix(p.Source, "inherited from ")
	if !inherited {
		return ""
	}
	return from
}

// Properties returns properties of all filesystems and volumes at and below the
// roots, by dataset and property, in one call. Missing roots are left out.
func (z *ZFS) Properties(ctx context.Context, roots []string, properties ...string) (map[string]map[string]Property, error) {
	if len(roots) == 0 {
		return nil, nil
	}
	argv := append([]string{"zfs", "get", "-H", "-p", "-r", "-t", "filesystem,volume",
		"-o", "name,property,value,received,source", strings.Join(properties, ",")}, roots...)
	rows, err := z.table(ctx, argv)
	if err != nil {
		return nil, fmt.Errorf("list properties of %s: %w", strings.Join(roots, ", "), err)
	}
	found := map[string]map[string]Property{}
	for _, row := range rows {
		if len(row) != 5 {
			return nil, fmt.Errorf("parse zfs get: %d columns instead of 5 in %q", len(row), strings.Join(row, "\t"))
		}
		if found[row[0]] == nil {
			found[row[0]] = map[string]Property{}
		}
		found[row[0]][row[1]] = Property{Value: unset(row[2]), Received: unset(row[3]), Source: unset(row[4])}
	}
	return found, nil
}

// Newest returns the newest snapshot (name after @) of each dataset that has one. It
// stays on the fast path of "zfs list".
func (z *ZFS) Newest(ctx context.Context, datasets []string) (map[string]string, error) {
	newest := map[string]string{}
	for part := range parts(datasets) {
		argv := append([]string{"zfs", "list", "-H", "-p", "-o", "name", "-t", "snapshot", "-s", "createtxg", "-d", "1"}, part...)
		rows, err := z.table(ctx, argv)
		if err != nil {
			return nil, fmt.Errorf("list snapshots: %w", err)
		}
		for _, row := range rows {
			if dataset, snapshot, ok := strings.Cut(row[0], "@"); ok {
				newest[dataset] = snapshot
			}
		}
	}
	return newest, nil
}

// Set sets properties of datasets, all properties of one dataset at once. A dataset
// that fails does not stop the others: see About.
func (z *ZFS) Set(ctx context.Context, properties map[string]string, names ...string) error {
	argv := []string{"zfs", "set"}
	for _, property := range slices.Sorted(maps.Keys(properties)) {
		argv = append(argv, property+"="+properties[property])
	}
	return z.forEach(ctx, argv, names)
}

// Revert sets a property of datasets to the value that a stream brought, or else to
// the inherited one. A dataset that fails does not stop the others.
func (z *ZFS) Revert(ctx context.Context, property string, names ...string) error {
	return z.forEach(ctx, []string{"zfs", "inherit", "-S", property}, names)
}

// Inherit clears a property of datasets, also a value that a stream brought. A
// dataset that fails does not stop the others.
func (z *ZFS) Inherit(ctx context.Context, property string, names ...string) error {
	return z.forEach(ctx, []string{"zfs", "inherit", property}, names)
}

func (z *ZFS) forEach(ctx context.Context, argv, names []string) error {
	var errs []error
	for part := range parts(names) {
		_, err := z.output(ctx, append(slices.Clone(argv), part...)...)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// parts splits names into parts that fit an argument list.
func parts(names []string) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		for len(names) > 0 {
			n, size := 0, 0
			for n < len(names) && (n == 0 || size+len(names[n]) < maxArgv) {
				size += len(names[n]) + 1
				n++
			}
			if !yield(names[:n]) {
				return
			}
			names = names[n:]
		}
	}
}

// About returns the part of the error of a call on several datasets that is about one
// of them. It returns nil if the error names only other datasets.
func About(err error, dataset string) error {
	var e *run.Error
	if !errors.As(err, &e) || e.TimedOut || e.Stderr == "" || errors.Is(err, context.Canceled) {
		return err
	}
	for line := range strings.Lines(e.Stderr) {
		if strings.Contains(line, "'"+dataset+"'") {
			text := oneLine(line)
			return &Error{Reason: reasonOf(text), Text: text, Cause: e.Cause}
		}
	}
	return nil
}
