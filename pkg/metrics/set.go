package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/understudy-ha/understudy/pkg/report"
)

// Set is the figures of one program.
type Set struct {
	file    File
	samples map[string][]report.Sample
	err     error
}

// New returns an empty set for a file.
func New(file File) *Set { return &Set{file: file, samples: map[string][]report.Sample{}} }

// Add adds a value of a metric, with the values of its labels in their order. A
// metric that is not in the table makes Write fail.
func (s *Set) Add(name string, value float64, labels ...string) {
	family, ok := find(s.file, name)
	if !ok || len(labels) != len(family.Labels) {
		s.err = errors.Join(s.err, fmt.Errorf("metric %s%v is not in the table of %s", name, labels, s.file))
		return
	}
	sample := report.Sample{Value: value}
	for i, label := range labels {
		sample.Labels = append(sample.Labels, family.Labels[i], label)
	}
	s.samples[name] = append(s.samples[name], sample)
}

// Bool adds 1 or 0.
func (s *Set) Bool(name string, value bool, labels ...string) {
	n := 0.0
	if value {
		n = 1
	}
	s.Add(name, n, labels...)
}

// Time adds a time in seconds since 1970; the zero time is left out.
func (s *Set) Time(name string, at time.Time, labels ...string) {
	if !at.IsZero() {
		s.Add(name, float64(at.UnixMilli())/1000, labels...)
	}
}

// Write replaces the set's file in a folder. A reader sees the old figures or
// the new ones as a whole. No folder: nothing is written.
func (s *Set) Write(dir string) error {
	if s.err != nil || dir == "" {
		return s.err
	}
	var all []report.Family
	for _, f := range families() {
		if f.File == s.file {
			all = append(all, report.Family{Name: f.Name, Help: f.Help, Type: "gauge", Samples: s.samples[f.Name]})
		}
	}
	var text bytes.Buffer
	if err := report.Prometheus(&text, all); err != nil {
		return err
	}
	path := s.path(dir)
	// The collector reads all that ends in .prom, which the temporary file
	// does not.
	// node_exporter runs as a user of its own, whatever the umask here.
	if err := renameio.WriteFile(path, text.Bytes(), 0o644, renameio.WithTempDir(dir), renameio.IgnoreUmask()); err != nil {
		return &WriteError{path, err}
	}
	return nil
}

func (s *Set) path(dir string) string { return filepath.Join(dir, string(s.file)+".prom") }

// Remove takes a program's file away, where its figures are no longer about
// this node. It is no error when there is none.
func Remove(dir string, file File) error {
	if dir == "" {
		return nil
	}
	path := New(file).path(dir)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &WriteError{path, err}
	}
	return nil
}

// WriteError is a file of metrics that could not be replaced.
type WriteError struct {
	Path string
	Err  error
}

func (e *WriteError) Error() string { return fmt.Sprintf("write metrics %s: %v", e.Path, e.Err) }
func (e *WriteError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *WriteError) Hint() string {
	return "make the folder, or set metrics.textfile_dir to the one that node_exporter reads (--collector.textfile.directory)"
}
