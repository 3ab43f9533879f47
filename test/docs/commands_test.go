package docs_test

import (
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	failover "github.com/understudy-ha/understudy/pkg/failover/command"
	images "github.com/understudy-ha/understudy/pkg/images/command"
	lag "github.com/understudy-ha/understudy/pkg/lag/command"
	probe "github.com/understudy-ha/understudy/pkg/probe/command"
	replicate "github.com/understudy-ha/understudy/pkg/replicate/command"
)

var (
	inline  = regexp.MustCompile("`([^`\n]+(?:\n[^`\n]+)?)`")
	shBlock = regexp.MustCompile("(?ms)^ *```sh.*?\n(.*?)^ *```$")
	ours    = regexp.MustCompile(`^(?:sudo )?(failover-notify|image-sync|lag-check|track-traefik|zfs-replicate)((?: .*)?)$`)
)

// typed are the calls of our programs in a page: in its text, and in its blocks of
// commands.
func typed(page string) []string {
	var calls []string
	for _, m := range shBlock.FindAllStringSubmatch(page, -1) {
		for line := range strings.Lines(strings.ReplaceAll(m[1], "\\\n", " ")) {
			line, _, _ = strings.Cut(line, " #")
			calls = append(calls, strings.TrimSpace(line))
		}
	}
	for _, m := range inline.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		calls = append(calls, strings.Join(strings.Fields(m[1]), " "))
	}
	return calls
}

// Each command that a document names is there, with the flags that it names.
func TestCommandsInDocuments(t *testing.T) {
	p := &cli.Process{Stdout: io.Discard, Stderr: io.Discard, Now: time.Now}
	roots := map[string]*cobra.Command{
		"failover-notify": failover.New(p), "image-sync": images.New(p), "lag-check": lag.New(p),
		"track-traefik": probe.New(p), "zfs-replicate": replicate.New(p),
	}
	found := 0
	for path, page := range pages(t) {
		for _, call := range typed(page) {
			m := ours.FindStringSubmatch(call)
			if m == nil {
				continue
			}
			found++
			if problem := known(roots[m[1]], strings.Fields(m[2])); problem != "" {
				t.Errorf("%s: `%s`: %s", path, call, problem)
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d calls are found", found)
	}
}

// known says what of a call is not there.
func known(c *cobra.Command, words []string) string {
	for i, word := range words {
		switch {
		case strings.ContainsAny(word, "|>;&[…\"'$="):
			// Its value, or another program's part.
			name, isFlag := strings.CutPrefix(word, "--")
			if name, _, _ = strings.Cut(name, "="); isFlag && !flagged(c, name) {
				return "it has no flag --" + name
			}
			return ""
		case strings.HasPrefix(word, "--"):
			if !flagged(c, strings.Trim(word[2:], ".,")) {
				return "it has no flag " + word
			}
		case strings.HasPrefix(word, "-") || word == "help" || word == "completion" || word == "man":
		case c.HasSubCommands() && i == strings.Count(c.CommandPath(), " "):
			sub, _, err := c.Find([]string{word})
			if err != nil || sub == c {
				return "it has no command " + word
			}
			c = sub
		}
	}
	return ""
}

func flagged(c *cobra.Command, name string) bool {
	return name == "help" || name == "version" || c.Flags().Lookup(name) != nil || c.InheritedFlags().Lookup(name) != nil || c.Root().PersistentFlags().Lookup(name) != nil
}

// The look at documents can fail.
func TestUnknownCommands(t *testing.T) {
	page := "`image-sync run`, `zfs-replicate\nkept lose`\n```sh on=a\nfailover-notify status --wach # look\n```\n```\nfailover-notify nothing\n```\n"
	p := &cli.Process{Stdout: io.Discard, Stderr: io.Discard, Now: time.Now}
	var problems []string
	for _, call := range typed(page) {
		if m := ours.FindStringSubmatch(call); m != nil {
			for _, root := range []*cobra.Command{failover.New(p), images.New(p), replicate.New(p)} {
				if root.Name() == m[1] {
					problems = append(problems, known(root, strings.Fields(m[2])))
				}
			}
		}
	}
	if got := strings.Join(problems, "; "); got != "it has no flag --wach; it has no command run; it has no command lose" {
		t.Errorf("%q", got)
	}
}
