package hooks

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/self"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
)

// newEvent returns the command "event", keepalived's generic notify script.
func newEvent(p *cli.Process) *cobra.Command {
	return &cobra.Command{
		Use:   "event INSTANCE|GROUP NAME STATE PRIORITY",
		Short: "Record a state of keepalived's: its notify script",
		Long: `Record the state that keepalived announces, and return. This is the script of its
"notify" keyword, which appends the four words itself. STATE is MASTER, BACKUP, FAULT or
STOP; DELETED, for an instance that a reload has dropped, means STOP.`,
		RunE: func(c *cobra.Command, args []string) error {
			// First, since it opens the log: keepalived shows nobody what is wrong.
			cfg, err := Load(p)
			if err != nil {
				return err
			}
			if len(args) != 4 {
				return cli.Usagef("event: %d words instead of INSTANCE|GROUP NAME STATE PRIORITY", len(args))
			}
			kind, name, word := args[0], args[1], args[2]
			if kind != "INSTANCE" && kind != "GROUP" {
				return cli.Usagef("event: %q is neither INSTANCE nor GROUP", kind)
			}
			requested := state.RequestedRole(word)
			if word == "DELETED" {
				requested = state.RequestStop
			}
			if !requested.Valid() {
				return cli.Usagef("event: unknown state %q", word)
			}
			return record(c.Context(), p, cfg, requested, fmt.Sprintf("%s of %s %s", word, strings.ToLower(kind), name))
		},
	}
}

// requests are the requested roles in words.
var requests = map[state.RequestedRole]string{
	state.RequestMaster: "become active: make the datasets writable and start the services",
	state.RequestBackup: "become a standby: stop the services and make the datasets read-only",
	state.RequestFault:  "go into fault: stop the services and make the datasets read-only",
	state.RequestStop:   "stop: stop the services and make the datasets read-only",
}

// newRequest returns the command of one of keepalived's states.
func newRequest(p *cli.Process, requested state.RequestedRole) *cobra.Command {
	reason := ""
	c := &cobra.Command{
		Use:   strings.ToLower(string(requested)),
		Short: "Record the request that this node " + short(requested),
		Long: "Record the request that this node " + short(requested) + `, and return: keepalived's
notify_` + strings.ToLower(string(requested)) + ` script. By hand it asks for the same, without moving the
virtual IP, which is keepalived's. The newest request wins.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := Load(p)
			if err != nil {
				return err
			}
			return record(c.Context(), p, cfg, requested, reason)
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, in a few `words`")
	return c
}

func short(requested state.RequestedRole) string {
	text, _, _ := strings.Cut(requests[requested], ":")
	return text
}

// record records a request, and ensures that a process acts on it.
func record(ctx context.Context, p *cli.Process, cfg *config.Config, requested state.RequestedRole, reason string) error {
	// keepalived ends its hooks with itself: what it said last must be kept.
	ctx = context.WithoutCancel(ctx)
	// Which of the nodes this is does not matter.
	records, err := self.Open(cfg, config.Node{}, run.New(p.Log), p.Log)
	if err != nil {
		return err
	}
	request, err := records.RecordRequest(ctx, requested, reason)
	if err != nil {
		return err
	}
	who, err := wake(ctx, p, records)
	if err != nil {
		return fmt.Errorf("%s is recorded, but nobody acts on it: %w", request.Requested, err)
	}
	said := fmt.Sprintf("recorded: %s", requests[requested])
	if request.PID != os.Getpid() {
		said = fmt.Sprintf("not recorded: %s was asked for later", request.Requested)
	}
	if p.Unattended {
		p.Log.Info().Str("request", string(requested)).Str("reason", reason).Uint64("seq", request.Seq).Str("next", who).Msg(said)
		return nil
	}
	_, err = fmt.Fprintf(p.Stdout, "%s\n%s; to look on: failover-notify status --watch\n", said, who)
	return cli.Printed(err)
}
