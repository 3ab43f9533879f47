package compose

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"sync"
)

// remote matches what Compose takes for an address of a file that lies elsewhere: an OCI
// artifact, or a git repository.
var remote = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(oci|https?|ssh|git)://|^git@|^github\.com/`)
})

// RemoteError is a file that a project includes or extends, and that Compose would
// fetch when it starts the project: a takeover must not wait for the network.
type RemoteError struct{ Path string }

func (e *RemoteError) Error() string {
	return fmt.Sprintf("it uses a file from the network, %s, which can't be had in a takeover", e.Path)
}

// Hint says what to do next.
func (e *RemoteError) Hint() string {
	return "put a copy of the file into the project's folder and name that under include or extends"
}

// refuseRemote stands where Compose fetches files from the network.
type refuseRemote struct{}

// Accept reports whether a path is an address.
func (refuseRemote) Accept(path string) bool { return remote().MatchString(path) }

// Load refuses it.
func (refuseRemote) Load(_ context.Context, path string) (string, error) {
	return "", &RemoteError{path}
}

// Dir is never asked for: nothing is loaded.
func (refuseRemote) Dir(path string) string { return filepath.Dir(path) }
