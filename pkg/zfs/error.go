package zfs

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/understudy-ha/understudy/pkg/run"
)

// Reason is the cause of a failure, as recognised in OpenZFS's text.
type Reason string

// The reasons that callers act on, or that have a hint.
const (
	Missing    Reason = "missing"    // dataset or snapshot does not exist
	Busy       Reason = "busy"       // held, cloned, mounted, or being received into
	NoSpace    Reason = "no space"   // pool or quota full
	Incomplete Reason = "incomplete" // the stream was interrupted
	Modified   Reason = "modified"   // the target was written to, or has newer snapshots
	Exists     Reason = "exists"
	Denied     Reason = "denied"
	StaleToken Reason = "stale token" // the resume token is no longer valid
	KeyMissing Reason = "key missing" // encryption key not loaded
	KeyLoaded  Reason = "key loaded"  // encryption key loaded already
	Mounted    Reason = "mounted"     // mounted already
	Suspended  Reason = "suspended"   // pool I/O is suspended
	NoZFS      Reason = "no zfs"      // module not loaded
	// Unsupported is a stream that the receiving OpenZFS or pool refuses: it lacks a
	// feature of the stream, or has a partial receive that does not match.
	Unsupported Reason = "unsupported"
)

// Error is the text that zfs or zpool printed when it failed, in one line.
type Error struct {
	Reason Reason // "" if the text is not known
	Text   string
	Cause  error
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Cause }

// Hint says what to do next, or "".
func (e *Error) Hint() string { return hints[e.Reason] }

// Is makes errors.Is(err, zfs.Busy) work.
func (e *Error) Is(target error) bool {
	reason, ok := target.(Reason)
	return ok && reason == e.Reason
}

// Error makes a Reason usable as the target of errors.Is.
func (r Reason) Error() string { return string(r) }

var hints = map[Reason]string{
	NoSpace:    "free space on that pool (older snapshots: 'zfs list -t snapshot -o name,used -s used'), or raise the quota",
	Denied:     "run it as root, or delegate the missing permission with 'zfs allow'",
	Suspended:  "see 'zpool status'; reconnect the disks, then 'zpool clear'",
	NoZFS:      "load the module with 'modprobe zfs'; it must match the running kernel",
	KeyMissing: "load it with 'zfs load-key'",
	Unsupported: "compare 'zfs version' and the pools' features ('failover-notify doctor' does) on both nodes: the receiving one needs " +
		"an OpenZFS and pool features at least as new as the sending one's",
}

// texts maps the messages of OpenZFS 2.3 (lib/libzfs/libzfs_util.c,
// libzfs_sendrecv.c) to reasons, in the order in which they are tried.
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

// explain turns the error of a process that printed something into an *Error. It
// returns deadlines, cancellation and missing programs unchanged.
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
	// tokenText is the advice, with a token of several hundred digits, that an
	// interrupted receive prints.
	tokenText = regexp.MustCompile(`(?s)A resuming stream can be generated on the sending system by running:.*`)
	// forceText is the advice to destroy dependents by force.
	forceText = regexp.MustCompile(`(?s)\nuse '-[rRf]+' to .*`)
	usageText = regexp.MustCompile(`(?s)\n(usage:|For the property list).*`)
	spaces    = regexp.MustCompile(`\s+`)
)

// oneLine folds stderr of zfs into one line, without usage texts, tokens, and the
// advice to use force.
func oneLine(stderr string) string {
	text := tokenText.ReplaceAllString(stderr, "")
	text = forceText.ReplaceAllString(text, "")
	text = usageText.ReplaceAllString(text, "")
	return strings.TrimSpace(spaces.ReplaceAllString(text, " "))
}
