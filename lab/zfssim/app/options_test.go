package app

import (
	"bufio"
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestOptionsAreReadAsGetoptDoes(t *testing.T) {
	for _, c := range []struct {
		args, want, rest, problem string
	}{
		{"-Hp -o name tank", "H p o=name", "tank", ""},
		{"tank -r", "r", "tank", ""}, // behind an operand
		{"-oname -pr", "o=name p r", "", ""},
		{"-r -- -p", "r", "-p", ""},
		{"-", "", "-", ""},
		{"-x", "", "", "invalid option 'x'"},
		{"-:", "", "", "invalid option ':'"},
		{"-o", "", "", "missing argument for 'o' option"},
	} {
		var errs bytes.Buffer
		a := &App{Out: bufio.NewWriter(&errs), Err: &errs, Cmd: "list"}
		opts, rest, ok := a.ParseOptions(strings.Fields(c.args), "Hpro:")
		var got []string
		for _, o := range opts {
			text := string(o.Flag)
			if o.Arg != "" {
				text += "=" + o.Arg
			}
			got = append(got, text)
		}
		if ok != (c.problem == "") || !strings.HasPrefix(errs.String(), c.problem) {
			t.Errorf("%s: %v, %s", c.args, ok, errs.String())
		}
		if ok && (strings.Join(got, " ") != c.want || !slices.Equal(rest, strings.Fields(c.rest))) {
			t.Errorf("%s: %v, %v", c.args, got, rest)
		}
	}
}

func TestEachCommandHasItsUsage(t *testing.T) {
	var errs bytes.Buffer
	for name := range usages() {
		errs.Reset()
		if code := (&App{Err: &errs, Cmd: name}).Usage(); code != 2 || !strings.HasPrefix(errs.String(), "usage:\n\t"+name) && name != "snap" && name != "recv" && name != "umount" {
			t.Errorf("%s: %d, %s", name, code, errs.String())
		}
	}
}
