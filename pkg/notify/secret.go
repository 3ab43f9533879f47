package notify

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/exit"
)

// SecretError is a file with secrets that can't be used.
type SecretError struct {
	File string
	Line int // 0: the file as a whole
	Text string
	hint string
}

func (e *SecretError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s, line %d: %s", e.File, e.Line, e.Text)
	}
	return fmt.Sprintf("read %s: %s", e.File, e.Text)
}

// ExitCode is 78, EX_CONFIG of sysexits.h.
func (e *SecretError) ExitCode() int { return exit.Config }

// Hint says what to do next.
func (e *SecretError) Hint() string { return e.hint }

// secretLine is a line of a file with secrets, neither blank nor a comment.
type secretLine struct {
	number int
	text   string
}

// secretLines reads a file that only its owner may access.
func secretLines(file string) ([]secretLine, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &SecretError{File: file, Text: "it does not exist", hint: "write it (mode 0600), or remove its key from the configuration"}
	}
	if err != nil {
		return nil, &SecretError{File: file, Text: err.Error()}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, &SecretError{File: file, Text: fmt.Sprintf("other users can access it (mode %04o), and it contains secrets", info.Mode().Perm()), hint: "chmod 0600 " + file}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, &SecretError{File: file, Text: "it is unreadable", hint: "run this as root"}
	}
	var lines []secretLine
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, secretLine{number, line})
		}
	}
	return lines, nil
}

// Channel is one notification channel.
type Channel struct {
	ID   string
	Name string // the service and the line in the file: no secret is in it
	URL  string
}

// discordWebhook matches a webhook URL as Discord shows it.
var discordWebhook = regexp.MustCompile(`^https://(?:\w+\.)?discord(?:app)?\.com/api/webhooks/(\d+)/([\w-]+)/?$`)

// Channels reads the file of channels: one URL per line, in shoutrrr's form. A Discord
// webhook may have Discord's own form; any other URL that begins with http is a generic
// webhook. bad holds lines that are not URLs; they do not stop the other channels. err
// reports a file without a usable channel.
func Channels(file string) (channels []Channel, bad []*SecretError, err error) {
	lines, err := secretLines(file)
	if err != nil {
		return nil, nil, err
	}
	for _, line := range lines {
		target := line.text
		if m := discordWebhook.FindStringSubmatch(target); m != nil {
			target = "discord://" + m[2] + "@" + m[1]
		}
		u, err := url.Parse(target)
		if err != nil || u.Scheme == "" || u.Opaque != "" {
			bad = append(bad, &SecretError{File: file, Line: line.number, Text: "not a URL such as ntfy://ntfy.sh/topic",
				hint: "see https://shoutrrr.nickfedor.com/services for the form of each service"})
			continue
		}
		service, _, _ := strings.Cut(u.Scheme, "+")
		if service == "http" || service == "https" {
			target, service = "generic+"+target, "generic"
		}
		channels = append(channels, Channel{ID: ChannelID(target), Name: fmt.Sprintf("%s (line %d)", service, line.number), URL: target})
	}
	if len(channels) == 0 && len(bad) > 0 {
		return nil, bad, bad[0]
	}
	return channels, bad, nil
}

// Channel returns the name of the line among the channels.
func (e *SecretError) Channel() string { return fmt.Sprintf("line %d", e.Line) }

// webAddress finds URLs within a text.
var webAddress = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"'<>]+`)

// Redact removes a URL, and every part of it that may be a secret, from a text such as a
// library's error. The host stays: it shows what failed.
func Redact(text, secret string) string {
	var parts []string
	if u, err := url.Parse(secret); err != nil {
		parts = append(parts, secret)
	} else {
		parts = append(parts, u.RequestURI(), u.Path, u.RawQuery)
		if u.User != nil {
			password, _ := u.User.Password()
			parts = append(parts, u.User.String(), u.User.Username(), password)
		}
		parts = append(parts, strings.Split(u.Path, "/")...)
		for _, values := range u.Query() {
			parts = append(parts, values...)
		}
		if service, _, _ := strings.Cut(u.Scheme, "+"); service != "smtp" && service != "generic" && service != "ntfy" && service != "gotify" && !strings.Contains(u.Host, ".") {
			parts = append(parts, u.Host) // a token or an id in the host's place
		}
	}
	for _, part := range slices.Clone(parts) {
		parts = append(parts, url.QueryEscape(part), url.PathEscape(part))
	}
	slices.SortFunc(parts, func(a, b string) int { return len(b) - len(a) })
	for _, part := range parts {
		if len(part) >= 4 {
			text = strings.ReplaceAll(text, part, "[secret]")
		}
	}
	// A library may have built another URL from the same parts.
	return webAddress.ReplaceAllStringFunc(text, func(found string) string {
		u, err := url.Parse(strings.ReplaceAll(found, "[secret]", "x"))
		if err != nil {
			return "[URL]"
		}
		return u.Scheme + "://" + u.Host + "/…"
	})
}
