package zfs

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/understudy-ha/understudy/pkg/run"
)

// Reason is why OpenZFS refused or failed, as far as its text tells.
type Reason string

// The reasons that callers act on, or for which there is a hint.
const (
	Missing    Reason = "missing"    // dataset or snapshot does not exist
	Busy       Reason = "busy"       // held, cloned, mounted, or being received into
	NoSpace    Reason = "no space"   // pool or quota full
	Incomplete Reason = "incomplete" // the stream broke off
	Modified   Reason = "modified"   // the target was written to, or has newer snapshots
	Exists     Reason = "exists"
	Denied     Reason = "denied"
	StaleToken Reason = "stale token" // resume token no longer fits
	KeyMissing Reason = "key missing" // encryption key not loaded
	KeyLoaded  Reason = "key loaded"  // encryption key loaded already
	Mounted    Reason = "mounted"     // mounted already
	Suspended  Reason = "suspended"   // pool I/O is suspended
	NoZFS      Reason = "no zfs"      // module not loaded
	// Unsupported is a stream that the receiving OpenZFS or pool does not take: it is
	// older than what the stream needs, or has a partial receive that does not fit.
	Unsupported Reason = "unsupported"
)

// Error is what zfs or zpool printed when it failed, in one line.
type Error struct {
	Reason Reason // "" when the text is none that is known
	Text   string
	Cause  error
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Cause }

// Hint says what to do next, where the reason tells.
func (e *Error) Hint() string { return hints[e.Reason] }

// Is makes errors.Is(err, zfs.Busy) and the like work.
func (e *Error) Is(target error) bool {
	reason, ok := target.(Reason)
	return ok && reason == e.Reason
}

// Error makes a Reason usable as the target of errors.Is.
func (r Reason) Error() string { return string(r) }

var hints = map[Reason]string{
	NoSpace:    "free space on that pool (older snapshots: 'zfs list -t snapshot -o name,used -s used'), or raise the quota",
	Denied:     "run it as root, or delegate what is missing with 'zfs allow'",
	Suspended:  "see 'zpool status'; bring the disks back, then 'zpool clear'",
	NoZFS:      "load the module with 'modprobe zfs', and see that it fits the running kernel",
	KeyMissing: "load it with 'zfs load-key'",
	Unsupported: "compare 'zfs version' and the pools' features ('failover-notify doctor' does) on both nodes: the receiving one needs " +
		"an OpenZFS and pool features at least as new as the sending one's",
}

// texts are what OpenZFS 2.3 prints (lib/libzfs/libzfs_util.c,
// libzfs_sendrecv.c), in the order in which they are tried.
var texts = []struct {
	says   string
	reason Reason
}{
	{"out of space", NoSpace},
	{"No space left on device", NoSpace},
	{"quota exceeded", NoSpace},
	{"disk quota", NoSpace},
	{"resume token is corrupt", StaleToken},
	{"cannot resume send", StaleToken},
	{"kernel modules must be upgraded", Unsupported},
	{"pool must be upgraded", Unsupported},
	{"unsupported feature", Unsupported},
	{"incomplete stream", Incomplete},
	{"failed to read from stream", Incomplete},
	{"has been modified", Modified},
	{"does not match incremental source", Modified},
	{"already mounted", Mounted},
	{"already exists", Exists},
	{"bookmark exists", Exists},
	{"must specify -F to overwrite", Exists},
	{"does not exist", Missing},
	{"no such pool", Missing},
	{"no longer exists", Missing},
	{"could not find any snapshots", Missing},
	{"permission denied", Denied},
	{"encryption key not loaded", KeyMissing},
	{"Key already loaded", KeyLoaded},
	{"is busy", Busy},
	{"has dependent clones", Busy},
	{"it's being held", Busy},
	{"suspended", Suspended},
	{"The ZFS modules", NoZFS},
	{"/dev/zfs", NoZFS},
}

// explain turns a failed process into an *Error where it printed something,
// and leaves deadlines, cancellation and missing programs as they are.
func explain(err error) error {
	var e *run.Error
	if !errors.As(err, &e) || e.TimedOut || e.ExitCode < 0 || errors.Is(err, context.Canceled) {
		return err
	}
	text := oneLine(e.Stderr)
	if text == "" {
		return err
	}
	return &Error{Reason: reasonOf(text), Text: text, Cause: err}
}

func reasonOf(text string) Reason {
	for _, t := range texts {
		if strings.Contains(text, t.says) {
			return t.reason
		}
	}
	return ""
}

var (
	// tokenText is the advice with a token of several hundred digits that a
	// broken-off receive prints.
	tokenText = regexp.MustCompile(`(?s)A resuming stream can be generated on the sending system by running:.*`)
	// forceText is the advice to destroy by force what is in the way.
	forceText = regexp.MustCompile(`(?s)\nuse '-[rRf]+' to .*`)
	usageText = regexp.MustCompile(`(?s)\n(usage:|For the property list).*`)
	spaces    = regexp.MustCompile(`\s+`)
)

// oneLine folds what zfs printed on stderr into one line, without usage texts,
// tokens, and the advice to use force.
func oneLine(stderr string) string {
	text := tokenText.ReplaceAllString(stderr, "")
	text = forceText.ReplaceAllString(text, "")
	text = usageText.ReplaceAllString(text, "")
	return strings.TrimSpace(spaces.ReplaceAllString(text, " "))
}
