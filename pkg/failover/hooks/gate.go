package hooks

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/exit"
)

// allowed are the commands that another node may run here, word for word; beside
// them there is export.
var allowed = []string{
	"zfs-replicate receiver",
	"zfs-replicate inventory -o json",
	"failover-notify peer -o json",
	"failover-notify status --local -o json",
	"failover-notify doctor --local -o json",
	"failover-notify resolve --give-way",
	"failover-notify resolve --stay",
	"lag-check inventory -o json",
	"image-sync manifest -o json",
}

// Of these a part may differ: the images' ids, the name of the node that asks, at
// the end of its drill, for what it has handed over, and the newest term that the
// node that asks has heard of.
const (
	export = "image-sync export"
	giving = "failover-notify switchover --return"
	asking = "failover-notify peer -o json --newest-term"
)

// imageID is an image's id, never its name.
var imageID = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// term is a term, of at most 64 bits.
var term = regexp.MustCompile(`^[0-9]{1,20}$`)

// nodeName is the name of a node, never a flag.
var nodeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// programFolders are where our programs may lie, besides the folder of this program.
var programFolders = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// plain matches the words that need no quoting and mean nothing to any shell.
var plain = regexp.MustCompile(`^[A-Za-z0-9._/=-]+$`)

// shownCommand is how much of a refused command is repeated, in bytes.
const shownCommand = 200

// gateError is a command that this key is not for.
type gateError struct{ asked string }

func (e *gateError) Error() string {
	if e.asked == "" {
		return "gate: no command was asked for, and this key gives no shell"
	}
	asked := e.asked
	if len(asked) > shownCommand {
		asked = asked[:shownCommand] + "…"
	}
	return fmt.Sprintf("gate: this key is not for %q", asked)
}

// ExitCode is 76, EX_PROTOCOL of sysexits.h: a refusal.
func (e *gateError) ExitCode() int { return exit.Refused }

// Hint says what to do next.
func (e *gateError) Hint() string {
	return "it is for: " + strings.Join(choices(), ", ") + "; for anything else log in with a key of your own"
}

// newGate returns the command "gate".
func newGate(p *cli.Process) *cobra.Command {
	return &cobra.Command{
		Use:   "gate",
		Short: "Let another node's key run what it needs, and nothing else",
		Long: `Run what another node asks for over ssh, if it is one of these, word for word; an
ID is an image's, sha256: and 64 digits and letters, NODE a node's name, and TERM
a number:

  ` + strings.Join(choices(), "\n  ") + `

In authorized_keys of the user that the other nodes log in as:

  restrict,command="failover-notify gate",from="192.168.86.48" ssh-ed25519 …

Anything else is refused and logged. No shell is involved, and nothing of the
environment that ssh brings reaches the command.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			asked, from := p.Getenv("SSH_ORIGINAL_COMMAND"), p.Getenv("SSH_CLIENT")
			// The other end must not choose the configuration.
			p.Getenv = func(string) string { return "" }
			argv, err := admit(asked)
			if err != nil {
				// What the other end sees on stderr is not kept here.
				p.Unattended = true
				if _, err := Load(p); err != nil {
					p.Log.Warn().Err(err).Msg("the configuration can't be read")
				}
				p.Log.Warn().Str("from", from).Msg("gate: a command is refused")
				return err
			}
			program, err := locate(argv[0])
			if err != nil {
				return err
			}
			if err := syscall.Exec(program, argv, gateEnv(p)); err != nil {
				return fmt.Errorf("gate: start %s: %w", program, err)
			}
			return nil // never reached
		},
	}
}

// admit returns the words of an allowed command; the program may be given with
// its path.
func admit(asked string) ([]string, error) {
	argv := strings.Split(asked, " ")
	for _, word := range argv {
		if !plain.MatchString(word) && !imageID.MatchString(word) {
			return nil, &gateError{asked}
		}
	}
	words := slices.Clone(argv)
	words[0] = filepath.Base(words[0])
	if !slices.Contains(allowed, strings.Join(words, " ")) && !exports(words) && !returns(words) && !asks(words) {
		return nil, &gateError{asked}
	}
	return argv, nil
}

// exports reports whether words ask for images by their ids, and for nothing else.
func exports(words []string) bool {
	return len(words) > 2 && strings.Join(words[:2], " ") == export &&
		!slices.ContainsFunc(words[2:], func(word string) bool { return !imageID.MatchString(word) })
}

// returns reports whether words ask this node to hand over to another one, or to
// check whether it could. Whether there is a node of that name, and whether it is
// ready, the switchover itself says.
func returns(words []string) bool {
	if len(words) < 6 || strings.Join(words[:3], " ") != giving || !nodeName.MatchString(words[3]) {
		return false
	}
	rest := strings.Join(words[4:], " ")
	return rest == "-o json" || rest == "-o json --dry-run"
}

// asks reports whether words ask this node what it is.
func asks(words []string) bool {
	last := len(words) - 1
	return strings.Join(words[:last], " ") == asking && term.MatchString(words[last])
}

// choices are what this key is for, in words.
func choices() []string {
	return append(slices.Clone(allowed), export+" ID...", giving+" NODE -o json [--dry-run]", asking+" TERM")
}

// locate finds one of our programs: in the folder of this program, or where programs
// are installed. A path must lead to one of these.
func locate(program string) (string, error) {
	folders := programFolders
	if self, err := os.Executable(); err == nil {
		folders = append([]string{filepath.Dir(self)}, folders...)
	}
	if strings.Contains(program, "/") {
		if !slices.Contains(folders, filepath.Dir(program)) {
			return "", &gateError{program}
		}
		folders = []string{filepath.Dir(program)}
	}
	for _, folder := range folders {
		path := filepath.Join(folder, filepath.Base(program))
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("gate: %s is in none of the folders %s", program, strings.Join(folders, ", "))
}

// gateEnv is the environment of what the gate starts. The configuration is the
// one that this command was given in authorized_keys.
func gateEnv(p *cli.Process) []string {
	env := []string{"PATH=" + strings.Join(programFolders, ":"), "LANG=C.UTF-8"}
	if home, err := os.UserHomeDir(); err == nil {
		env = append(env, "HOME="+home)
	}
	if p.ConfigFile != "" {
		env = append(env, "UNDERSTUDY_CONFIG="+p.ConfigFile)
	}
	return env
}
