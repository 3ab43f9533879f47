package machine

import (
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"time"
)

// Machine is this machine or another one. Calls are made one at a time.
type Machine interface {
	// Look says what the machine is and has.
	Look(ctx context.Context) (Facts, error)
	// Run runs a program to its end and returns what it printed, also where it
	// failed; the error is a *run.Error then.
	Run(ctx context.Context, c Call) (Output, error)
	// Read reads a file. One that is not there is no error.
	Read(ctx context.Context, path string) (File, error)
	// Write replaces a file as a whole, with the folders above it, and syncs it.
	Write(ctx context.Context, path string, f File) error
}

// Call is a program to start. It gets no terminal.
type Call struct {
	Argv    []string      `json:"argv"`
	Stdin   string        `json:"stdin,omitempty"`
	Env     []string      `json:"env,omitempty"` // KEY=VALUE
	Timeout time.Duration `json:"timeout"`
	// Say gets each line that the program prints on stderr at once; it may be
	// nil.
	Say func(line string) `json:"-"`
}

// Output is what a program has printed; of stderr only its end.
type Output struct {
	Stdout string `json:"stdout,omitempty"`
	Stderr string `json:"stderr,omitempty"`
}

// File is a file's content.
type File struct {
	Found bool        `json:"found,omitempty"`
	Text  string      `json:"text,omitempty"`
	Mode  fs.FileMode `json:"mode,omitempty"`
	// Owner is a user's name; "" is root, and with Read not told.
	Owner string `json:"owner,omitempty"`
}

// Facts are what a machine is and has.
type Facts struct {
	Version string `json:"version"` // of failover-notify
	Host    string `json:"host"`    // its short name
	UID     int    `json:"uid"`
	// Folder is where our programs lie, and Programs has the path of each
	// program that was looked for; "" is not there.
	Folder   string            `json:"folder"`
	Programs map[string]string `json:"programs"`
	// Systemd says that it started this machine.
	Systemd   bool      `json:"systemd,omitempty"`
	Addresses []Address `json:"addresses"`
	Gateway   string    `json:"gateway,omitempty"` // of the default route
	Pools     []Pool    `json:"pools,omitempty"`
	// HostKeys are the public keys of its sshd, as TYPE KEY.
	HostKeys []string `json:"host_keys,omitempty"`
}

// Address is one of a machine's addresses.
type Address struct {
	Interface string       `json:"interface"`
	Prefix    netip.Prefix `json:"prefix"`
}

// Pool is a pool of datasets.
type Pool struct {
	Name string `json:"name"`
	// System says that the machine itself lies on it.
	System bool `json:"system,omitempty"`
}

// At returns the address that is ip.
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
	return "look at the folder's permissions and at the room that is left, then run it again: what is done stays done"
}
