package report

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/understudy-ha/understudy/drill/observe"
)

// taken is a takeover by b, two seconds after a fault of a.
func taken(scenario string) Result {
	line := &Timeline{Projects: []string{"app1"}}
	answer := func(target, node string, ms int, ok bool) {
		line.Add(observe.Event{Answer: &observe.Answer{Target: target, Node: node, Sent: at(ms), Received: at(ms + 10), OK: ok}})
	}
	full := observe.State{Address: true, Writable: []string{"/a", "/b"}, Running: []string{"app1"}}
	for ms := -1000; ms < 6000; ms += 100 {
		switch {
		case ms < 0:
			line.Add(sample("a", ms, ms+5, full))
			line.Add(sample("b", ms, ms+5, idle))
			answer("traefik", "", ms, true)
			answer("app1", "a", ms, true)
		case ms < 2000:
			line.Add(sample("b", ms, ms+5, idle))
			answer("traefik", "", ms, false)
			answer("app1", "", ms, false)
		default:
			line.Add(sample("b", ms, ms+5, full))
			answer("traefik", "", ms, true)
			answer("app1", "b", ms, true)
		}
	}
	m, missing := line.Moments(epoch, "b")
	if missing != "" {
		panic(missing)
	}
	r := Result{
		Group: "Takeover", Scenario: scenario, Kind: "ns", Began: epoch, Seconds: 30, Verdict: Passed, Detection: 1.9, Writes: 100, Kept: 3,
		Lanes:   line.Lanes(epoch, at(-1000), at(6000), "a", "b"),
		Changes: line.Changes(epoch, at(-1000), at(6000), "a", "b"),
	}
	r.Measure(m)
	return r
}

func TestLanesShowWhoHadWhat(t *testing.T) {
	r := taken("x")
	find := func(node, what string) []Bar {
		i := slices.IndexFunc(r.Lanes, func(l Lane) bool { return l.Node == node && l.What == what })
		if i < 0 {
			t.Fatalf("no lane %s %s", node, what)
		}
		return r.Lanes[i].Bars
	}
	for _, c := range []struct {
		node, what string
		want       []Bar
	}{
		{"a", "address", []Bar{{-1, -0.095, "a", "on", 1}, {-0.095, 6, "a", "silent", 0}}},
		{"b", "address", []Bar{{2, 6, "b", "on", 1}}},
		{"b", "data", []Bar{{2, 6, "b", "on", 1}}},
		{"", "traefik", []Bar{{-1, 0, "", "answers", 0}, {0, 2, "", "fails", 0}, {2, 5.91, "", "answers", 0}}},
		{"", "app1", []Bar{{-1, 0, "a", "answers", 0}, {0, 2, "", "fails", 0}, {2, 5.91, "b", "answers", 0}}},
	} {
		if got := find(c.node, c.what); !slices.Equal(got, c.want) {
			t.Errorf("%s %s: %v, want %v", c.node, c.what, got, c.want)
		}
	}
	if text := strings.Join(r.Changes, "\n"); !strings.Contains(text, "2.00 b: ADDRESS /a /b app1") || !strings.Contains(text, "0.00 traefik does not answer") {
		t.Errorf("changes:\n%s", text)
	}
}

// shown returns results of all kinds.
func shown() []Result {
	lost := taken("power pulled, the primary returns")
	lost.Verdict, lost.Lost = Failed, 2
	still := taken("SIGHUP")
	still.Detection, still.Address, still.Traefik, still.Projects = 0, 0, 0, 0
	return []Result{
		taken("keepalived ended"), lost, still, taken(`<script>alert("x")</script> & "quotes"`),
		{Group: "Drill", Scenario: "sender killed", Kind: "ns", Began: epoch, Seconds: 3, Verdict: Passed},
		{Group: "Drill", Scenario: "link cut", Kind: "ns", Began: epoch, Verdict: Unfinished},
	}
}

func TestPageNeedsNothingElse(t *testing.T) {
	results := shown()
	var page bytes.Buffer
	if err := WritePage(&page, results, "v1"); err != nil {
		t.Fatal(err)
	}
	text, ids, links := walkPage(t, page.Bytes())
	for _, r := range results {
		if strings.Count(text, r.Scenario) == 0 {
			t.Errorf("%s is not on the page", r.Scenario)
		}
	}
	for _, want := range []string{"4 of 6", "2 of 400", "did not end", "FAILED", "1.9 s", "0 (3 kept)", "v1", "2.00 b: ADDRESS"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	for _, link := range links {
		if !strings.HasPrefix(link, "#") || !ids[link[1:]] {
			t.Errorf("a link leads to %s", link)
		}
	}
	if len(links) != 4 {
		t.Errorf("%d links, want one for each timeline", len(links))
	}
	if bytes.Contains(page.Bytes(), []byte("ZgotmplZ")) || bytes.Contains(page.Bytes(), []byte("NaN")) {
		t.Error("the template has refused a value")
	}
}

// Each of three nodes has a colour, and so has each of two nodes with other
// names. Measurements are shown without writes too.
func TestNodesHaveTheirColours(t *testing.T) {
	result := func(nodes ...string) Result {
		r := Result{Group: "Setup", Scenario: strings.Join(nodes, ""), Began: epoch, Verdict: Passed, Address: 1.5, Traefik: 2, Projects: 2}
		for _, n := range nodes {
			r.Lanes = append(r.Lanes, Lane{Node: n, What: "address", Bars: []Bar{{From: -1, To: 5, Node: n, Kind: "on"}}})
		}
		return r
	}
	p := newPage([]Result{result("a", "b", "c"), result("primary", "secondary")}, "")
	for i, want := range []legend{{"first", "node a or primary"}, {"second", "node b or secondary"}, {"third", "node c"}} {
		if p.Legend[i] != want {
			t.Errorf("the legend says %v, want %v", p.Legend[i], want)
		}
	}
	if class := p.Timelines[1].Strips[1].Rects[0].Class; class != "second" {
		t.Errorf("secondary is shown as %s", class)
	}
	if !p.Groups[0].Moves {
		t.Error("a takeover without writes is shown without its times")
	}
	var text strings.Builder
	if err := PrintTable(&text, p.Results); err != nil || !strings.Contains(text.String(), "1.5 s") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

// walkPage parses a page strictly: elements are closed in order, and nothing is
// fetched. It returns the text, the ids and the links.
func walkPage(t *testing.T, data []byte) (text string, ids map[string]bool, links []string) {
	t.Helper()
	if _, err := html.Parse(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	void := []string{"meta", "br", "img", "link", "hr", "input"}
	ids = map[string]bool{}
	var open []string
	var b strings.Builder
	tokens := html.NewTokenizer(bytes.NewReader(data))
	for {
		kind := tokens.Next()
		token := tokens.Token()
		switch kind {
		case html.ErrorToken:
			if len(open) > 0 {
				t.Errorf("not closed: %q", open)
			}
			return b.String(), ids, links
		case html.TextToken:
			if len(open) > 0 && open[len(open)-1] == "style" {
				if strings.Contains(token.Data, "url(") || strings.Contains(token.Data, "@import") {
					t.Error("the style fetches something")
				}
				continue
			}
			b.WriteString(token.Data)
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				t.Fatalf("</%s> closes %q", token.Data, open)
			}
			open = open[:len(open)-1]
		case html.StartTagToken, html.SelfClosingTagToken:
			if kind == html.StartTagToken && !slices.Contains(void, token.Data) {
				open = append(open, token.Data)
			}
			if slices.Contains([]string{"script", "link", "img", "iframe", "object"}, token.Data) {
				t.Errorf("there is a %s", token.Data)
			}
			for _, a := range token.Attr {
				switch {
				case a.Key == "id" && ids[a.Val]:
					t.Errorf("the id %s is there twice", a.Val)
				case a.Key == "id":
					ids[a.Val] = true
				case a.Key == "href":
					links = append(links, a.Val)
				case strings.Contains(a.Val, "//") || a.Key == "src":
					t.Errorf("%s=%q leads elsewhere", a.Key, a.Val)
				}
			}
		}
	}
}

func TestReportIsATable(t *testing.T) {
	var text strings.Builder
	if err := Print(&text, shown()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"scenario", "detection", "data lost", "verdict", "Replication, namespaces", "2 of 400 acknowledged writes were lost", "4 of 6 scenarios passed"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing in\n%s", want, text.String())
		}
	}
}

func TestResultsAreReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results")
	if none, err := Read(path); err != nil || len(none) != 0 {
		t.Fatalf("%v, %v", none, err)
	}
	first := Result{Group: "g", Scenario: "s", Kind: "ns", Began: epoch, Verdict: Unfinished}
	last := first
	last.Verdict, last.Seconds, last.Lanes = Passed, 2, []Lane{{What: "traefik", Bars: []Bar{{From: 1, To: 2, Kind: "answers"}}}}
	other := Result{Group: "g", Scenario: "s", Kind: "vm", Began: epoch.Add(time.Hour), Verdict: Failed}
	for _, r := range []Result{first, other, last} {
		if err := Append(path, r); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"group":"cut o`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil || len(got) != 2 || got[0].Verdict != Passed || len(got[0].Lanes) != 1 || got[1].Verdict != Failed {
		t.Errorf("%+v, %v", got, err)
	}
}

// The order of the groups does not depend on the order of the runs.
func TestGroupsAreOrdered(t *testing.T) {
	results := []Result{{Group: "New", Scenario: "n"}, {Group: "Drill", Scenario: "r1"}, {Group: "Takeover", Scenario: "t"}, {Group: "Drill", Scenario: "r2"}}
	var titles []string
	for _, g := range newPage(results, "").Groups {
		titles = append(titles, g.Title)
	}
	if want := []string{"Takeovers", "Replication", "New"}; !slices.Equal(titles, want) {
		t.Errorf("groups %q, want %q", titles, want)
	}
}
