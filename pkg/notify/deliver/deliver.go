package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/telegram"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/notify"
)

// Deliverer sends messages.
type Deliverer struct {
	Channels []notify.Channel
	// Bad holds the lines of the file that are not channels. No message waits for them.
	Bad      []*notify.SecretError
	Template *Template
	// Timeout bounds one message to one channel.
	Timeout time.Duration
	Log     zerolog.Logger
	Now     func() time.Time
}

// ChannelError is a channel that did not accept a message. It contains no secrets.
type ChannelError struct {
	Channel string
	Text    string
}

func (e *ChannelError) Error() string { return fmt.Sprintf("%s: %s", e.Channel, e.Text) }

// Outcome is the result of one channel.
type Outcome struct {
	Channel string `json:"channel"`
	Sent    int    `json:"sent"`
	Error   string `json:"error,omitempty"`
}

// Outbox records which channel has accepted which message.
type Outbox interface {
	Sent(m *notify.Message, channel string, all []string) error
	// Due reports whether a channel is due, and Tried records the result of a try.
	Due(channel string, now time.Time) bool
	Tried(channel notify.Channel, now time.Time, failure string) error
}

// Run sends every channel the messages that it has not accepted yet, oldest first, all
// channels in parallel. A channel that fails gets the others later.
func (d *Deliverer) Run(ctx context.Context, outbox Outbox, messages []*notify.Message) ([]Outcome, error) {
	var mu sync.Mutex // guards outbox and messages
	var all []string
	for _, c := range d.Channels {
		all = append(all, c.ID)
	}
	outcomes := make([]Outcome, len(d.Channels))
	errs := make([]error, len(d.Channels))
	var sending sync.WaitGroup
	for i, c := range d.Channels {
		outcomes[i].Channel = c.Name
		sending.Go(func() { errs[i] = d.channel(ctx, c, outbox, messages, all, &outcomes[i], &mu) })
	}
	sending.Wait()
	return outcomes, errors.Join(errs...)
}

// channel sends one channel its messages.
func (d *Deliverer) channel(ctx context.Context, c notify.Channel, outbox Outbox, messages []*notify.Message, all []string, o *Outcome, mu *sync.Mutex) error {
	tried := false
	for _, m := range messages {
		mu.Lock()
		skip := has(m, c.ID) || !tried && !outbox.Due(c.ID, d.Now())
		mu.Unlock()
		if skip {
			continue
		}
		tried = true
		err := d.Send(ctx, c, m)
		mu.Lock()
		if err != nil {
			o.Error = err.Error()
			failed := outbox.Tried(c, d.Now(), o.Error)
			mu.Unlock()
			return failed
		}
		o.Sent++
		err = errors.Join(outbox.Sent(m, c.ID, all), outbox.Tried(c, d.Now(), ""))
		mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func has(m *notify.Message, channel string) bool {
	for _, id := range m.Done {
		if id == channel {
			return true
		}
	}
	return false
}

// Send sends one message to one channel.
func (d *Deliverer) Send(ctx context.Context, c notify.Channel, m *notify.Message) error {
	subject, body, err := d.Template.render(m)
	if err != nil {
		return err
	}
	service, err := (&router.ServiceRouter{}).Locate(c.URL)
	if err != nil {
		return &ChannelError{c.Name, notify.Redact(err.Error(), c.URL)}
	}
	text, params := dress(c.URL, subject, body)
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil { // a library's bug must not stop the other channels
				done <- fmt.Errorf("%v", r)
			}
		}()
		if t, ok := service.(*telegram.Service); ok {
			done <- sendTelegram(ctx, t.GetConfig(), text)
			return
		}
		done <- service.Send(text, &params)
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = fmt.Errorf("no answer within %s", d.Timeout)
	}
	if err != nil {
		return &ChannelError{c.Name, notify.Redact(strings.Join(strings.Fields(err.Error()), " "), c.URL)}
	}
	return nil
}

// dress passes the first line as a subject or title if the service has one.
func dress(target, subject, body string) (string, types.Params) {
	scheme := ""
	if u, err := url.Parse(target); err == nil {
		scheme, _, _ = strings.Cut(u.Scheme, "+")
	}
	whole := strings.TrimSpace(subject + "\n" + body)
	switch scheme {
	case "smtp":
		return whole, types.Params{"subject": subject}
	case "ntfy", "gotify", "pushover":
		return body, types.Params{"title": subject}
	case "discord": // otherwise each line would be a separate box
		return whole, types.Params{"splitlines": "No"}
	}
	return whole, types.Params{}
}
