package machine

import (
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"time"
)

// Machine is this machine or another one. It accepts one call at a time.
type Machine interface {
	// Inspect returns the facts of the machine.
	Inspect(ctx context.Context) (Facts, error)
	// Run runs a program to its end and returns its output, also if it fails; the
	// error is then a *run.Error.
	Run(ctx context.Context, c Call) (Output, error)
	// Read reads a file. A missing file is no error.
	Read(ctx context.Context, path string) (File, error)
	// Write replaces a file atomically, creates the folders above, and syncs both.
	Write(ctx context.Context, path string, f File) error
}

// Call is a program to run, without a terminal.
type Call struct {
	Argv    []string      `json:"argv"`
	Stdin   string        `json:"stdin,omitempty"`
	Env     []string      `json:"env,omitempty"` // KEY=VALUE
	Timeout time.Duration `json:"timeout"`
	// Say receives each line on stderr at once. It may be nil.
	Say func(line string) `json:"-"`
}

// Output is the output of a program, with the end of stderr.
type Output struct {
	Stdout string `json:"stdout,omitempty"`
	Stderr string `json:"stderr,omitempty"`
}

// File is a file's content.
type File struct {
	Found bool        `json:"found,omitempty"`
	Text  string      `json:"text,omitempty"`
	Mode  fs.FileMode `json:"mode,omitempty"`
	// Owner is a user name; "" is root. Read does not set it.
	Owner string `json:"owner,omitempty"`
}

// Facts holds the facts of a machine.
type Facts struct {
	Version string `json:"version"` // of failover-notify
	Host    string `json:"host"`    // its short name
	UID     int    `json:"uid"`
	// Folder is the folder of Understudy's programs. Programs holds the path of each
	// program, or "".
	Folder   string            `json:"folder"`
	Programs map[string]string `json:"programs"`
	// Systemd reports that the machine runs systemd.
	Systemd   bool      `json:"systemd,omitempty"`
	Addresses []Address `json:"addresses"`
	Gateway   string    `json:"gateway,omitempty"` // of the default route
	Pools     []Pool    `json:"pools,omitempty"`
	// HostKeys holds the public keys of its sshd, as TYPE KEY.
	HostKeys []string `json:"host_keys,omitempty"`
}

// Address is one of a machine's addresses.
type Address struct {
	Interface string       `json:"interface"`
	Prefix    netip.Prefix `json:"prefix"`
}

// Pool is a ZFS pool.
type Pool struct {
	Name string `json:"name"`
	// System reports that the root filesystem lies on it.
	System bool `json:"system,omitempty"`
}

// At returns the address with this ip.
func (f Facts) At(ip netip.Addr) (Address, bool) {
	for _, a := range f.Addresses {
		if a.Prefix.Addr() == ip {
			return a, true
		}
	}
	return Address{}, false
}

// FileError is a file that could not be read or written.
type FileError struct {
	Op, Path string
	Err      error
}

func (e *FileError) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err) }
func (e *FileError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *FileError) Hint() string {
	return "check the folder's permissions and the free space, then run it again: finished steps remain"
}
