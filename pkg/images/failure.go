package images

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/exit"
)

// kind is what a failure means for what to do next.
type kind int

const (
	permanent kind = iota // asking again does not help
	limited               // the registry has had enough of us
	down                  // the registry fails, or can't be reached
	corrupt               // the answer is not the requested image
	full                  // the disk is
	noEngine              // nothing helps
)

// says are the kinds by the words of engines and registries, in the order in
// which they are tried. The engine passes a registry's answer on as text.
var says = []struct {
	words *regexp.Regexp
	kind  kind
}{
	{regexp.MustCompile(`(?i)no space left on device`), full},
	{regexp.MustCompile(`(?i)toomanyrequests|too many requests|rate limit`), limited},
	{regexp.MustCompile(`(?i)does not match|verification failed|failed to verify|digest mismatch|unexpected commit|invalid digest`), corrupt},
	{regexp.MustCompile(`(?i)manifest unknown|name unknown|not found|does not exist|no matching manifest|unauthorized|denied|no basic auth`), permanent},
	{regexp.MustCompile(`(?i)\b(status|code)\b[^0-9@/]{0,20}\b5\d\d\b|\b5\d\d (internal|bad gateway|service|gateway)`), down},
	{regexp.MustCompile(`(?i)connection refused|connection reset|no such host|i/o timeout|handshake timeout|unreachable|no route to host|client\.timeout|deadline exceeded|request canceled|\beof\b|broken pipe|server misbehaving|temporary failure`), down},
}

// kindOf says what a failure means.
func kindOf(err error) kind {
	if refused, ok := errors.AsType[*StatusError](err); ok {
		switch {
		case refused.Status == http.StatusTooManyRequests:
			return limited
		case refused.Status >= 500:
			return down
		}
		return permanent
	}
	if _, ok := errors.AsType[*docker.StallError](err); ok {
		return down
	}
	if docker.IsDown(err) || docker.IsRefused(err) {
		return noEngine
	}
	text := err.Error()
	if failed, ok := errors.AsType[*docker.Error](err); ok {
		text = failed.Text // without the image's name
	}
	for _, s := range says {
		if s.words.MatchString(text) {
			return s.kind
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return down
	}
	return permanent
}

// MissingError is an image that is not to be had.
type MissingError struct {
	Ref    string
	What   string
	Advice string
}

func (e *MissingError) Error() string { return fmt.Sprintf("image %s %s", e.Ref, e.What) }

// Hint says what to do next.
func (e *MissingError) Hint() string { return e.Advice }

// Refusal is a run that this node's role forbids.
type Refusal struct{ What, Advice string }

func (r *Refusal) Error() string { return r.What }

// Hint says what to do next.
func (r *Refusal) Hint() string { return r.Advice }

// ExitCode is 76: refused.
func (r *Refusal) ExitCode() int { return exit.Refused }
