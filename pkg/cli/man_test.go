//go:build man

package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/exit"
)

func TestManPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man8")
	epoch := func(name string) string { return map[string]string{"SOURCE_DATE_EPOCH": "1000000000"}[name] }
	p := &cli.Process{Getenv: epoch, Now: time.Now}
	if got := run(t, p, fails(nil), "man", dir); got != (result{}) {
		t.Fatalf("%+v", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := "tool-config-check.8 tool-config-show.8 tool-config.8 tool-group-member.8 tool-group.8 tool-must.8 tool-work.8 tool.8"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("pages %s, want %s", got, want)
	}
	page, err := os.ReadFile(filepath.Join(dir, "tool-work.8"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"TOOL-WORK" "8" "Sep 2001" "Understudy"`, ".SH EXIT STATUS", "another run holds the lock"} {
		if !strings.Contains(string(page), part) {
			t.Errorf("%q is missing in\n%s", part, page)
		}
	}
	program, err := os.ReadFile(filepath.Join(dir, "tool.8"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{".SH COMMANDS", "\\fBconfig\\fP\nCheck or show the configuration", ".SH FILES", "/etc/understudy/config.yaml"} {
		if !strings.Contains(string(program), part) {
			t.Errorf("%q is missing in\n%s", part, program)
		}
	}
	bad := &cli.Process{}
	bad.Getenv = func(name string) string { return map[string]string{"SOURCE_DATE_EPOCH": "soon"}[name] }
	if got := run(t, bad, fails(nil), "man", dir); got.code != exit.Usage || !strings.Contains(got.stderr, `SOURCE_DATE_EPOCH "soon"`) {
		t.Errorf("%+v", got)
	}
}
