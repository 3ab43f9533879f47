package runbook

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	const page = "# Power\n\nLook:\n\n```sh on=standby repeat\nfailover-notify status\n```\n\n```output\nb is active\n…\n```\n\n" +
		"<!-- drill: switch on -->\n\n1. in a list\n\n   ```sh on=primary exit=76 when=stuck\n   cat <<END\n     deep\n   END\n   ```\n\n```yaml\nnot: run\n```\n"
	got, err := Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	want := []Step{
		{Line: 5, On: "standby", Repeat: true, Script: "failover-notify status\n", Output: "b is active\n…\n", HasOutput: true},
		{Line: 14, Hand: "switch on"},
		{Line: 18, On: "primary", Exit: 76, Case: "stuck", Script: "cat <<END\n  deep\nEND\n"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for page, line := range map[string]int{
		"```sh\nls\n```":                       1, // nowhere
		"x\n```sh on=a times=3\nls\n```":       2,
		"```sh on=a exit=bad\nls\n```":         1,
		"```sh on=a\nls":                       1, // no end
		"```output\nnothing\n```":              1, // of no command
		"```\nls\n```":                         1, // who knows whether it is run
		"<!-- drill: x -->\n```output\nx\n```": 2,
		"<!-- drill: forgotten\n":              1,
	} {
		_, err := Parse(page)
		form, ok := errors.AsType[*FormError](err)
		if !ok || form.Line != line {
			t.Errorf("%q: %v, want an error of line %d", page, err, line)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		name, pattern, output string
		ok                    bool
	}{
		{"the same", "a is active\n", "a is active\n", true},
		{"another word", "a is active\n", "b is active\n", false},
		{"less", "one\ntwo\n", "one\n", false},
		{"more", "one\n", "one\ntwo\n", false},
		{"empty lines and columns don't count", "one  two\n", "\none two   \n\n", true},
		{"times and sizes change", "sent 12s ago, 3.1 KiB of @replicate-20261122T211908Z", "sent 1m5s ago, 40 MiB of @replicate-20270101T000000Z", true},
		{"counts do not", "3 of 3 run", "1 of 3 run", false},
		{"exit codes do not", "code 3", "code 0", false},
		{"any text", "a (…) can't be reached: …", "a (10.77.0.11) can't be reached: no route", true},
		{"any text has an end", "a … here", "a is there", false},
		{"the end counts", "a … here", "a is here no more", false},
		{"the beginning counts", "… here", "it is here", true},
		{"any lines", "first\n…\nlast\n", "first\n1\n2\nlast\n", true},
		{"no lines", "first\n…\nlast\n", "first\nlast\n", true},
		{"any lines, then one that comes twice", "…\nlast\n", "last\n1\nlast\n", true},
		{"any lines, but not this", "first\n…\nlast\n", "first\n1\n", false},
		{"what a bar has left", "done\n", "tank 20%\r\x1b[Kdone\r\n", true},
	} {
		err := Match(c.pattern, c.output)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if mismatch, ok := errors.AsType[*MismatchError](err); err != nil && (!ok || !strings.Contains(mismatch.Error(), "printed")) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Every page can be parsed; the drill proves its commands.
func TestPages(t *testing.T) {
	files, err := filepath.Glob("../../docs/runbooks/*.md")
	if err != nil || len(files) < 11 {
		t.Fatalf("%d pages, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		steps, err := Parse(string(text))
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if len(steps) == 0 {
			t.Errorf("%s has no command", file)
		}
		for _, title := range []string{"## What you see", "## Is anything lost right now?", "## What to do", "## How to know that it is over", "## If that fails"} {
			if filepath.Base(file) != "README.md" && !strings.Contains(string(text), "\n"+title+"\n") {
				t.Errorf("%s has no part %q", file, title)
			}
		}
	}
}
