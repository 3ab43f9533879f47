package command

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/notify"
	"github.com/understudy-ha/understudy/pkg/notify/deliver"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/state"
)

// newDeliver returns the command "deliver".
func newDeliver(p *cli.Process) *cobra.Command {
	return &cobra.Command{
		Use:   "deliver",
		Short: "Send the notifications that wait, and end",
		Long: `Send the notifications that wait, and end. failover-notify watch runs it when
there is something to send, and so do the scheduled programs where no watcher
runs. What a channel does not take stays and is sent later.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, d, err := newDeliverer(c, p)
			if err != nil {
				return err
			}
			_, err = d.Pass(c.Context(), notify.Open(node.Config, node.State), node.State)
			if _, busy := errors.AsType[*state.LockedError](err); busy {
				return nil // it sends these too
			}
			return err
		},
	}
}

// newDeliverer puts together what speaks to the channels.
func newDeliverer(c *cobra.Command, p *cli.Process) (*failover.Node, *deliver.Deliverer, error) {
	node, err := newNode(c.Context(), p)
	if err != nil {
		return nil, nil, err
	}
	if node.Config.Notify.URLsFile == "" {
		return nil, nil, cli.Usagef("nobody is to be told: notify.urls_file is not set in %s", node.Config.File())
	}
	d, err := deliver.New(node.Config, p.Log, p.Now)
	return node, d, err
}

// newTestNotification returns the command "test-notification".
func newTestNotification(p *cli.Process) *cobra.Command {
	var out cli.Output
	c := &cobra.Command{
		Use:   "test-notification",
		Short: "Send a message to every channel, and say which took it",
		Long: `Send a message to every channel of notify.urls_file, one after the other, and say
which of them took it and what is wrong with the others. No secret is printed.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, d, err := newDeliverer(c, p)
			if err != nil {
				return err
			}
			outcomes, failed := tryChannels(c, node, d)
			if out.JSON() {
				err = cli.Printed(report.JSON(p.Stdout, outcomes))
			} else {
				rows := [][]string{{"CHANNEL", "RESULT"}}
				for _, o := range outcomes {
					result := "sent"
					if o.Error != "" {
						result = "failed: " + o.Error
					}
					rows = append(rows, []string{o.Channel, result})
				}
				err = cli.Printed(report.Table(p.Stdout, rows))
			}
			return first(err, failed)
		},
	}
	out.AddTo(c)
	return c
}

// channelsError is a test that not all channels have passed.
type channelsError struct{ failed, all int }

func (e *channelsError) Error() string {
	return fmt.Sprintf("%d of %d channels did not take the message", e.failed, e.all)
}

// ExitCode is 3 when some did.
func (e *channelsError) ExitCode() int {
	if e.failed < e.all {
		return exit.Partial
	}
	return exit.Failed
}

// Hint says what to do next.
func (e *channelsError) Hint() string {
	return "compare their lines in notify.urls_file with what the service shows, and see that this node reaches it"
}

func tryChannels(c *cobra.Command, node *failover.Node, d *deliver.Deliverer) ([]deliver.Outcome, error) {
	role, err := node.State.Role()
	if err != nil {
		return nil, err
	}
	m := &notify.Message{Kind: notify.KindTest, Notice: notify.Notice{From: "failover-notify", Level: notify.Info, Time: node.Now(),
		Title: "this is a test", Text: []string{"Somebody has run failover-notify test-notification; all is well."},
		Node: node.Self.Name, Role: role.Role.String(), Term: role.Term}}
	outcomes := []deliver.Outcome{}
	failed := 0
	for _, channel := range d.Channels {
		o := deliver.Outcome{Channel: channel.Name, Sent: 1}
		if err := d.Send(c.Context(), channel, m); err != nil {
			o.Sent, o.Error = 0, err.Error()
			failed++
		}
		outcomes = append(outcomes, o)
	}
	for _, line := range d.Bad {
		outcomes = append(outcomes, deliver.Outcome{Channel: line.Channel(), Error: line.Text})
		failed++
	}
	if failed > 0 {
		return outcomes, &channelsError{failed, len(outcomes)}
	}
	return outcomes, nil
}
