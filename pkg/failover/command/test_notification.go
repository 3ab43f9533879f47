package command

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/notify"
	"github.com/understudy-ha/understudy/pkg/notify/deliver"
	"github.com/understudy-ha/understudy/pkg/report"
)

// newTestNotification returns the command "test-notification".
func newTestNotification(p *cli.Process) *cobra.Command {
	var out cli.Output
	c := &cobra.Command{
		Use:   "test-notification",
		Short: "Send a test message to every notification channel",
		Long: `Send a test message to every channel of notify.urls_file, one after the other, and
show which channels accepted it and why the others did not. It prints no secrets.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runTestNotification(c.Context(), p, out) },
	}
	out.AddTo(c)
	return c
}

func runTestNotification(ctx context.Context, p *cli.Process, out cli.Output) error {
	node, d, err := newDeliverer(ctx, p)
	if err != nil {
		return err
	}
	outcomes, failed := testChannels(ctx, node, d)
	if out.JSON() {
		err = cli.Printed(report.JSON(p.Stdout, outcomes))
	} else {
		err = cli.Printed(writeOutcomes(p.Stdout, outcomes))
	}
	return cmp.Or(err, failed)
}

func writeOutcomes(w io.Writer, outcomes []deliver.Outcome) error {
	rows := [][]string{{"CHANNEL", "RESULT"}}
	for _, o := range outcomes {
		result := "sent"
		if o.Error != "" {
			result = "failed: " + o.Error
		}
		rows = append(rows, []string{o.Channel, result})
	}
	return report.Table(w, rows)
}

// channelsError is a test that some channels have failed.
type channelsError struct{ failed, all int }

func (e *channelsError) Error() string {
	return fmt.Sprintf("test-notification: %d of %d channels failed", e.failed, e.all)
}

// ExitCode is 3 if some channels accepted the message.
func (e *channelsError) ExitCode() int {
	if e.failed < e.all {
		return exit.Partial
	}
	return exit.Failed
}

// Hint says what to do next.
func (e *channelsError) Hint() string {
	return "compare their lines in notify.urls_file with the settings of the service, and check that this node reaches it"
}

// testChannels sends the test message to each channel. The error is nil if all
// channels accepted it.
func testChannels(ctx context.Context, node *failover.Node, d *deliver.Deliverer) ([]deliver.Outcome, error) {
	role, err := node.State.Role()
	if err != nil {
		return nil, err
	}
	m := &notify.Message{Kind: notify.KindTest, Notice: notify.Notice{From: "failover-notify", Level: notify.Info, Time: node.Now(),
		Title: "test message", Text: []string{"The operator ran failover-notify test-notification. Nothing is wrong."},
		Node: node.Self.Name, Role: role.Role.String(), Term: role.Term}}
	outcomes := []deliver.Outcome{}
	failed := 0
	for _, channel := range d.Channels {
		o := deliver.Outcome{Channel: channel.Name, Sent: 1}
		if err := d.Send(ctx, channel, m); err != nil {
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
