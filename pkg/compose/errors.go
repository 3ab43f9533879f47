package compose

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/understudy-ha/understudy/pkg/exit"
)

// PatternError is a pattern of services.projects that matches no file.
type PatternError struct {
	Pattern   string
	Directory string
	Err       error // nil when the folder is there
}

func (e *PatternError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("look for projects %s: %v", e.Pattern, e.Err)
	}
	return fmt.Sprintf("look for projects: %s matches no file in %s", e.Pattern, e.Directory)
}

func (e *PatternError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *PatternError) Hint() string {
	if e.Err != nil {
		return "see that services.directory is right, and that what it lies on is mounted"
	}
	return "fix or remove the pattern under services.projects; a pattern names Compose files, such as apps/*/compose.yaml"
}

// ExitCode is that of a wrong configuration.
func (e *PatternError) ExitCode() int { return exit.Config }

// LoadError is a project that can't be loaded.
type LoadError struct {
	File string // the project's main file
	Err  error
	hint string
}

func (e *LoadError) Error() string {
	return fmt.Sprintf("load project %s: %s", e.File, oneLine(e.Err.Error()))
}

func (e *LoadError) Unwrap() error { return e.Err }

// ExitCode is that of a wrong configuration.
func (e *LoadError) ExitCode() int { return exit.Config }

// Hint says what to do next.
func (e *LoadError) Hint() string {
	text := e.Err.Error()
	switch {
	case e.hint != "":
		return e.hint
	case isRemote(e.Err):
		return (&RemoteError{}).Hint()
	case strings.Contains(text, "env file"), strings.Contains(text, ".env:"):
		return "copy the file to this node too (it is often left out of a checkout), or say 'required: false' beside its path"
	case errors.Is(e.Err, fs.ErrNotExist):
		return "copy the file to this node too"
	}
	return fmt.Sprintf("see it with: docker compose -f %s config --quiet", e.File)
}

func isRemote(err error) bool {
	_, found := errors.AsType[*RemoteError](err)
	return found
}

// secret matches where the reader of .env files quotes what it has read, which
// may be a password.
var secret = regexp.MustCompile(`(?s)( in variable name | unterminated quoted value ).*`)

// oneLine makes one line of an error's text and leaves out what a file of
// secrets may hold.
func oneLine(text string) string {
	text = secret.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasPrefix(found, " in variable name") {
			return " in a variable's name"
		}
		return " a quoted value has no end"
	})
	return strings.Join(strings.Fields(text), " ")
}

// UpError is a project that did not start.
type UpError struct {
	Project string
	Text    string // the line of docker compose that says why
	// Missing says that an image is not here.
	Missing bool
	Err     error
}

func (e *UpError) Error() string { return fmt.Sprintf("start project %s: %s", e.Project, e.Text) }
func (e *UpError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *UpError) Hint() string {
	if e.Missing {
		return "fetch the image with 'image-sync', or 'docker compose pull' on this node"
	}
	return ""
}

// NotServingError is a project whose containers don't all serve.
type NotServingError struct {
	Project string
	Reasons []string // a container and what is wrong with it
	Err     error    // why it was not waited for any longer; nil where waiting is of no use
}

func (e *NotServingError) Error() string {
	return fmt.Sprintf("project %s does not serve: %s", e.Project, strings.Join(e.Reasons, "; "))
}

func (e *NotServingError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *NotServingError) Hint() string {
	return fmt.Sprintf("look at its log: docker compose -p %s logs", e.Project)
}

// StillRunningError are containers that could not be ended, or of which it is
// not known.
type StillRunningError struct {
	Names []string // of containers; short ids where the engine could not be asked
	Err   error    // what went wrong; may be nil
}

func (e *StillRunningError) Error() string {
	text := "stop containers: "
	if len(e.Names) == 0 {
		text += "it is not known whether any still runs"
	} else {
		text += strings.Join(e.Names, ", ") + " still run"
		if len(e.Names) == 1 {
			text += "s"
		}
	}
	if e.Err != nil {
		text += ": " + oneLine(e.Err.Error())
	}
	return text
}

func (e *StillRunningError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *StillRunningError) Hint() string {
	if len(e.Names) == 0 {
		return "look with 'docker ps' and 'systemctl status docker'"
	}
	return "end them with 'docker kill " + strings.Join(e.Names, " ") + "'; if that hangs, only a reboot may end them"
}
