package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// scheduled are where cron and systemd are told what to start when.
var scheduled = []string{
	"etc/crontab", "etc/cron.d/*", "var/spool/cron/crontabs/*", "var/spool/cron/root",
	"etc/systemd/system/*.service", "usr/lib/systemd/system/*.service", "lib/systemd/system/*.service",
}

// booted are the units that a failover needs after a reboot.
var booted = []string{"understudy-fence", "understudy-join", "understudy", "keepalived"}

// schedule looks at what starts by itself.
func (d *Doctor) schedule(context.Context) (Schedule, error) {
	var s Schedule
	for _, pattern := range scheduled {
		files, err := filepath.Glob(filepath.Join(d.Root, pattern))
		if err != nil {
			return s, fmt.Errorf("look for cron's files: %w", err)
		}
		for _, file := range files {
			// cron leaves out files whose names have a dot.
			if strings.Contains(pattern, "cron.d") && strings.Contains(filepath.Base(file), ".") {
				continue
			}
			if text, err := os.ReadFile(file); err == nil && starts(text, "zfs-replicate run") && d.timed(file) {
				s.Replication = append(s.Replication, file)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(d.Root, "run/systemd/system")); err != nil {
		return s, nil
	}
	s.Systemd = true
	for _, unit := range booted {
		if unit == "keepalived" && !d.Node.Address.Configured() || unit == "understudy-fence" && !d.Node.Data.Configured() {
			continue
		}
		wanted, err := filepath.Glob(filepath.Join(d.Root, "etc/systemd/system/*.wants", unit+".service"))
		if err != nil {
			return s, fmt.Errorf("look for systemd's units: %w", err)
		}
		if len(wanted) == 0 {
			s.Disabled = append(s.Disabled, unit)
		}
	}
	return s, nil
}

// starts says whether a line that is no comment has the command.
func starts(text []byte, command string) bool {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); !bytes.HasPrefix(line, []byte("#")) && bytes.Contains(line, []byte(command)) {
			return true
		}
	}
	return false
}

// timed says whether a file is cron's, or a unit with a timer that is enabled.
func (d *Doctor) timed(file string) bool {
	unit, service := strings.CutSuffix(filepath.Base(file), ".service")
	if !service {
		return true
	}
	wanted, err := filepath.Glob(filepath.Join(d.Root, "etc/systemd/system/*.wants", unit+".timer"))
	return err == nil && len(wanted) > 0
}

// wellKnown are where services that have one address only are reached.
var wellKnown = map[string]string{
	"discord": "discord.com:443", "telegram": "api.telegram.org:443", "slack": "hooks.slack.com:443",
	"pushover": "api.pushover.net:443", "pushbullet": "api.pushbullet.com:443", "teams": "outlook.office.com:443",
	"ifttt": "maker.ifttt.com:443", "join": "joinjoaomgcd.appspot.com:443",
}

// ports are those of services that stand where the URL says.
var ports = map[string]string{"smtp": "25", "ntfy": "443", "gotify": "443", "generic": "443", "generic+https": "443",
	"generic+http": "80", "mattermost": "443", "rocketchat": "443", "matrix": "443", "bark": "443", "zulip": "443", "http": "80", "https": "443", "mqtt": "1883"}

// dialTimeout is how long a channel may take to accept a connection.
const dialTimeout = 4 * time.Second

// channels reads notify.urls_file and tries whether what it names can be
// reached. Nobody is sent anything.
func (d *Doctor) channels(ctx context.Context) (Channels, error) {
	var c Channels
	file := d.config().Notify.URLsFile
	if file == "" {
		c.Problem = "notify.urls_file is not set"
		return c, nil
	}
	info, err := os.Stat(file)
	if err != nil {
		if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathErr.Err
		}
		c.Problem = fmt.Sprintf("%s: %v", file, err)
		return c, nil
	}
	if info.Mode().Perm()&0o077 != 0 {
		c.Problem = fmt.Sprintf("%s can be read by others (mode %04o)", file, info.Mode().Perm())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return c, fmt.Errorf("read the notification URLs: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			c.List = append(c.List, Channel{Kind: line})
		}
	}
	if len(c.List) == 0 {
		c.Problem = file + " names no URL"
	}
	var dialing sync.WaitGroup
	for i := range c.List {
		dialing.Go(func() { c.List[i] = reach(ctx, c.List[i].Kind) })
	}
	dialing.Wait()
	return c, nil
}

// reach tries to connect to where a notification would go. What it says holds
// no part of the URL but its scheme.
func reach(ctx context.Context, text string) Channel {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" {
		return Channel{Kind: "?", Error: "it is not a URL"}
	}
	c := Channel{Kind: u.Scheme}
	address := wellKnown[u.Scheme]
	if port := ports[u.Scheme]; address == "" && port != "" && u.Hostname() != "" {
		if u.Port() != "" {
			port = u.Port()
		}
		address = net.JoinHostPort(u.Hostname(), port)
	}
	if address == "" {
		return c // nothing is known of where it goes
	}
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		c.Error = "it can't be reached: " + cause(err)
		return c
	}
	conn.Close()
	return c
}

// cause is what an error of the network says without the address, which may be
// a secret.
func cause(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return "its name has no address"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Timeout() {
		return "no answer"
	}
	text := err.Error()
	return strings.TrimSpace(text[strings.LastIndex(text, ":")+1:])
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
