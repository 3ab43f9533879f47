package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/notify"
)

// wellKnown holds the addresses of services that have only one.
var wellKnown = map[string]string{
	"discord": "discord.com:443", "telegram": "api.telegram.org:443", "slack": "hooks.slack.com:443",
	"pushover": "api.pushover.net:443", "pushbullet": "api.pushbullet.com:443", "teams": "outlook.office.com:443",
	"ifttt": "maker.ifttt.com:443", "join": "joinjoaomgcd.appspot.com:443",
}

// ports holds the default ports of services whose URL names the host.
var ports = map[string]string{"smtp": "25", "ntfy": "443", "gotify": "443", "generic": "443", "generic+https": "443",
	"generic+http": "80", "mattermost": "443", "rocketchat": "443", "matrix": "443", "bark": "443", "zulip": "443", "http": "80", "https": "443", "mqtt": "1883"}

// dialTimeout bounds the connection to a channel.
const dialTimeout = 4 * time.Second

// channels reads notify.urls_file and connects to each channel. It sends nothing.
func (d *Doctor) channels(ctx context.Context) (Channels, error) {
	var c Channels
	cfg := d.config()
	if cfg.Notify.URLsFile == "" {
		c.Problem = "notify.urls_file is not set"
		return c, nil
	}
	all, bad, err := notify.Channels(cfg.Notify.URLsFile)
	switch {
	case err != nil:
		c.Problem, c.Fix = err.Error(), exit.Hint(err)
	case len(all) == 0:
		c.Problem = cfg.Notify.URLsFile + " contains no URL"
	}
	for _, f := range notify.Open(cfg, d.Node.State).Health().Failing {
		if f.Times > 0 {
			c.Failing = append(c.Failing, failing(f))
		}
	}
	c.List = make([]Channel, len(all))
	var dialing sync.WaitGroup
	for i, one := range all {
		dialing.Go(func() { c.List[i] = Channel{Name: one.Name, Error: reach(ctx, one.URL)} })
	}
	dialing.Wait()
	for _, line := range bad {
		if c.Problem == "" {
			c.List = append(c.List, Channel{Name: line.Channel(), Error: line.Text})
		}
	}
	return c, nil
}

// failing describes a channel that accepts no messages.
func failing(f notify.Failing) string {
	text := fmt.Sprintf("%s: %s, since %s (%d in a row)", f.Channel, f.Error, f.Since.Local().Format(time.DateTime), f.Times)
	if f.Waiting > 0 {
		text += fmt.Sprintf("; queued: %d", f.Waiting)
	}
	return text
}

// reach connects to the destination of a channel. It returns the error without any
// part of the URL, or "" if it connects or the destination is unknown.
func reach(ctx context.Context, text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "not a URL"
	}
	address := wellKnown[u.Scheme]
	if port := ports[u.Scheme]; address == "" && port != "" && u.Hostname() != "" {
		address = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
	}
	if address == "" {
		return ""
	}
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "cannot connect: " + cause(err)
	}
	conn.Close()
	return ""
}

// cause returns the text of a network error without the address, which may be a
// secret.
func cause(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return "cannot resolve its name"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Timeout() {
		return "no answer"
	}
	text := err.Error()
	return strings.TrimSpace(text[strings.LastIndex(text, ":")+1:])
}
