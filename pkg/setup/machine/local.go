package machine

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/understudy-ha/understudy/pkg/run"
)

// Local is this machine.
type Local struct {
	Runner  run.Programs
	Version string
	// Root is the folder of all files: /.
	Root string
}

// NewLocal returns this machine.
func NewLocal(runner run.Programs, version string) *Local {
	return &Local{Runner: runner, Version: version, Root: "/"}
}

// Run runs a program.
func (l *Local) Run(ctx context.Context, c Call) (Output, error) {
	var out bytes.Buffer
	// Environment variables of this process must not configure the program.
	command := run.Command{Argv: c.Argv, Timeout: c.Timeout, Stdout: &out, Env: c.Env, Without: []string{"UNDERSTUDY_"}}
	if c.Stdin != "" {
		command.Stdin = strings.NewReader(c.Stdin)
	}
	if c.Say != nil {
		lines := &lineWriter{say: c.Say}
		defer lines.flush()
		command.Stderr = lines
	}
	p, err := l.Runner.Start(ctx, command)
	if err != nil {
		return Output{}, err
	}
	err = p.Wait()
	return Output{Stdout: out.String(), Stderr: p.Stderr()}, err
}

// lineWriter forwards complete lines.
type lineWriter struct {
	say  func(string)
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		end := bytes.IndexByte(w.rest, '\n')
		if end < 0 {
			return len(p), nil
		}
		w.say(string(w.rest[:end]))
		w.rest = w.rest[end+1:]
	}
}

func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.say(string(w.rest))
		w.rest = nil
	}
}

// Read reads a file.
func (l *Local) Read(_ context.Context, path string) (File, error) {
	at := filepath.Join(l.Root, path)
	data, err := os.ReadFile(at)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, nil
	}
	if err != nil {
		return File{}, &FileError{"read", path, err}
	}
	info, err := os.Stat(at)
	if err != nil {
		return File{}, &FileError{"read", path, err}
	}
	return File{Found: true, Text: string(data), Mode: info.Mode().Perm()}, nil
}

// Write replaces a file. Folders that it creates are accessible to all users, except
// .ssh.
func (l *Local) Write(_ context.Context, path string, f File) error {
	at, folder := filepath.Join(l.Root, path), fs.FileMode(0o755)
	if filepath.Base(filepath.Dir(path)) == ".ssh" {
		folder = 0o700
	}
	uid, gid, err := owner(f.Owner)
	if err != nil {
		return &FileError{"write", path, err}
	}
	if _, err := os.Stat(filepath.Dir(at)); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(at), folder); err != nil {
			return &FileError{"create the folder of", path, err}
		}
		if err := own(filepath.Dir(at), uid, gid); err != nil {
			return &FileError{"create the folder of", path, err}
		}
	}
	pending, err := renameio.NewPendingFile(at, renameio.WithStaticPermissions(f.Mode))
	if err != nil {
		return &FileError{"write", path, err}
	}
	defer pending.Cleanup()
	if _, err := pending.WriteString(f.Text); err != nil {
		return &FileError{"write", path, err}
	}
	if err := own(pending.Name(), uid, gid); err != nil {
		return &FileError{"write", path, err}
	}
	if err := pending.CloseAtomicallyReplace(); err != nil {
		return &FileError{"write", path, err}
	}
	return syncFolder(filepath.Dir(at))
}

// own changes the owner of a file; a uid of -1 keeps it.
func own(path string, uid, gid int) error {
	if uid < 0 {
		return nil
	}
	return os.Chown(path, uid, gid)
}

// owner looks up a user; -1 stands for the user of this process.
func owner(name string) (uid, gid int, err error) {
	if name == "" || name == "root" {
		return -1, -1, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	return uid, gid, errors.Join(errUID, errGID)
}

// syncFolder makes the replacement of a file survive a power loss.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return &FileError{"sync", path, err}
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil {
		return &FileError{"sync", path, err}
	}
	return nil
}
