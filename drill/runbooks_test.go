//go:build drill

package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/drill/runbook"
	"github.com/understudy-ha/understudy/lab"
)

// runbookPages is the folder of the runbooks.
const runbookPages = "../docs/runbooks"

// situation is the state of a pair that a page is for.
type situation struct {
	page string
	// cases are the cases that blocks of the page name with when; none counts
	// as one.
	cases []string
	// bring brings the site into the situation.
	bring func(t *testing.T, r *runbooks, c string)
	// hands are the manual actions of the page.
	hands map[string]func(t *testing.T, r *runbooks)
}

// TestRunbooks brings a site into the situation of each page, types the
// commands of the page, compares their output, and expects a healthy pair.
func TestRunbooks(t *testing.T) {
	if Kind() != lab.NS {
		t.Log("the runbooks are run on nodes in namespaces; the vm drill goes through the same commands")
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	pages := readPages(t)
	programs := buildRunbooks(t, ctx)
	r := newRunbooks(t, ctx, programs)
	for _, s := range situations {
		steps, found := pages[s.page]
		if !found {
			t.Errorf("there is no page %s", s.page)
			continue
		}
		delete(pages, s.page)
		if !r.page(t, ctx, s, steps) {
			// Its remains say nothing about the next page.
			r.must(t, r.Down())
			r = newRunbooks(t, ctx, programs)
		}
	}
	for name := range pages {
		t.Errorf("%s has no situation: nobody knows whether it works", name)
	}
}

func readPages(t *testing.T) map[string][]runbook.Step {
	t.Helper()
	files, err := filepath.Glob(runbookPages + "/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	pages := map[string][]runbook.Step{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil {
			pages[filepath.Base(file)], err = runbook.Parse(string(text))
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return pages
}

// page runs all cases of a page and checks that they cover every step. It
// returns false when the site was not in its expected state.
func (r *runbooks) page(t *testing.T, ctx context.Context, s situation, steps []runbook.Step) (all bool) {
	done, hands := map[int]bool{}, map[string]bool{}
	cases := s.cases
	if len(cases) == 0 {
		cases = []string{""}
	}
	ran := 0
	for _, c := range cases {
		name := strings.Trim(s.page+"/"+c, "/")
		ok := t.Run(name, func(t *testing.T) {
			record(t, name, nil)
			ran++
			ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
			defer cancel()
			r.ctx, r.name, r.began = ctx, s.page, time.Now()
			t.Cleanup(func() {
				if t.Failed() {
					r.explain(t)
				}
			})
			s.bring(t, r, c)
			for _, step := range steps {
				if step.Case != "" && step.Case != c {
					continue
				}
				done[step.Line] = true
				hands[step.Hand] = true
				r.step(t, s, step)
			}
			r.whole(t)
			t.Logf("%.1f s", time.Since(r.began).Seconds())
		})
		if !ok {
			return false
		}
	}
	if ran < len(cases) {
		return true // -run asks for others
	}
	for _, step := range steps {
		if !done[step.Line] {
			t.Errorf("%s:%d: in no case does anybody do this", s.page, step.Line)
		}
	}
	for name := range s.hands {
		if !hands[name] {
			t.Errorf("%s does not say that somebody should %s", s.page, name)
		}
	}
	return true
}

// step performs one step as an operator does.
func (r *runbooks) step(t *testing.T, s situation, step runbook.Step) {
	t.Helper()
	where := fmt.Sprintf("%s:%d", s.page, step.Line)
	if step.Hand != "" {
		do := s.hands[step.Hand]
		if do == nil {
			t.Fatalf("%s: nobody knows how to %s", where, step.Hand)
		}
		do(t, r)
		return
	}
	for _, n := range r.where(t, where, step.On) {
		if r.power(t, n, step.Script) {
			continue
		}
		var last error
		r.tries(t, step.Repeat, func() string {
			output, err := r.typed(n, step)
			if last = err; err == nil && step.HasOutput {
				last = runbook.Match(step.Output, output)
			}
			if last == nil {
				t.Logf("%s on %s: %s\n%s", where, n.Name(), strings.TrimSpace(step.Script), output)
				return ""
			}
			return fmt.Sprintf("%s on %s: %v", where, n.Name(), last)
		})
	}
}

// tries performs an action once or, for a step with repeat, until nothing is
// missing.
func (r *runbooks) tries(t *testing.T, repeat bool, missing func() string) {
	t.Helper()
	began := time.Now()
	for {
		what := missing()
		if what == "" {
			return
		}
		if !repeat || time.Since(began) > patience() {
			t.Fatal(what)
		}
		time.Sleep(time.Second) // an operator is no faster
	}
}

// where returns the nodes that a page means.
func (r *runbooks) where(t *testing.T, where, name string) []lab.Node {
	t.Helper()
	r.look(t)
	switch name {
	case "active":
		return []lab.Node{r.active}
	case "standby":
		return []lab.Node{r.standby}
	case "both":
		return []lab.Node{r.A, r.B}
	}
	i := slices.IndexFunc(r.Lab.Nodes, func(n lab.Node) bool { return n.Name() == name })
	if i < 0 {
		t.Fatalf("%s: there is no node %q", where, name)
	}
	return r.Lab.Nodes[i : i+1]
}

// power performs the commands of a script that end the whole node.
func (r *runbooks) power(t *testing.T, n lab.Node, script string) bool {
	t.Helper()
	verb := strings.TrimSpace(script)
	if verb != "systemctl poweroff" && verb != "systemctl reboot" {
		return false
	}
	r.must(t, n.Stop(r.ctx))
	r.Line.Break(n.Name())
	if verb == "systemctl reboot" {
		r.must(t, n.Start(r.ctx))
	}
	return true
}

// typed runs a script on a node as on a terminal and returns the screen. An
// unexpected exit code is an error.
func (r *runbooks) typed(n lab.Node, step runbook.Step) (string, error) {
	ctx, cancel := context.WithTimeout(r.ctx, max(time.Minute, patience()))
	defer cancel()
	script := strings.NewReplacer(toLab...).Replace(step.Script)
	result, err := n.Run(ctx, lab.Argv("env", "TERM=xterm", "HOME=/root", "script", "-qec", "set -eo pipefail\n"+script, "/dev/null"))
	output := strings.NewReplacer(toPage...).Replace(result.Stdout + result.Stderr)
	if exit, ok := errors.AsType[*lab.ExitError](err); ok && exit.Code == step.Exit {
		return output, nil
	}
	switch {
	case err != nil:
		return output, fmt.Errorf("%w\n%s", err, output)
	case step.Exit != 0:
		return output, fmt.Errorf("exit code 0, want %d:\n%s", step.Exit, output)
	}
	return output, nil
}
