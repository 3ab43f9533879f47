package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

//go:embed page.html
var pageText string

// WritePage writes results as one page of HTML that needs neither network nor
// script. version is the version of the programs.
func WritePage(w io.Writer, results []Result, version string) error {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return fmt.Errorf("write the drill's page: %w", err)
	}
	if err := t.Execute(w, newPage(results, version)); err != nil {
		return fmt.Errorf("write the drill's page: %w", err)
	}
	return nil
}

// page holds the contents of the page.
type page struct {
	Version, Address, Projects string
	Results                    []Result
	Passed, Writes, Lost       int
	AllPassed                  bool
	Groups                     []group
	Timelines                  []row
	Legend                     []legend
	Kept                       string
}

type legend struct{ Class, Text string }

// group holds the scenarios of one test on one kind of nodes.
type group struct {
	Title, About string
	Moves        bool // it measures takeovers
	Rows         []row
	from, to     time.Time
}

// When returns the time in which the scenarios ran.
func (g group) When() string {
	return g.from.Local().Format("2 January 2006, 15:04") + " to " + g.to.Local().Format("15:04 MST")
}

type cell struct{ Name, Text string }

// row is a scenario, in the table and as a timeline.
type row struct {
	Result
	ID, About, Class string
	Cells            []cell
	Strips           []strip
	Marks            []tick
	Lines            []tick
	Ticks            []tick
}

// strip is a lane as it is drawn; positions are percentages of the width.
type strip struct {
	Label, Text string
	Begins      bool // what is of another node than the one above
	Rects       []rect
}

type rect struct {
	Class             string
	X, Width, Opacity string
}

type tick struct{ X, Text, Anchor, Class string }

func newPage(results []Result, version string) page {
	results = ordered(results)
	p := page{Version: version, Results: results, AllPassed: true, Kept: "D" + strings.ReplaceAll(keptMeans[1:], "\n", " ") + "."}
	var address, projects []float64
	for i, r := range results {
		if r.Verdict == Passed {
			p.Passed++
		} else {
			p.AllPassed = false
		}
		p.Writes, p.Lost = p.Writes+r.Writes, p.Lost+r.Lost
		if r.Address > 0 {
			address, projects = append(address, r.Address), append(projects, r.Projects)
		}
		one := newRow(r, fmt.Sprintf("s%d", i+1))
		p.place(one)
		if len(one.Strips) > 0 {
			p.Timelines = append(p.Timelines, one)
		}
	}
	p.Address, p.Projects = middle(address), middle(projects)
	for i, names := range places(results) {
		p.Legend = append(p.Legend, legend{classOf(i), "node " + strings.Join(names, " or ")})
	}
	p.Legend = append(p.Legend, legend{"either", "answers, whichever node it is"}, legend{"fails", "does not answer"}, legend{"silent", "node off or cut off"})
	return p
}

// place puts a row into its group.
func (p *page) place(one row) {
	title := groupTitle(one.Group)
	if one.Kind != "" {
		title += ", " + kindWords(one.Kind)
	}
	i := slices.IndexFunc(p.Groups, func(g group) bool { return g.Title == title })
	if i < 0 {
		i = len(p.Groups)
		p.Groups = append(p.Groups, group{Title: title, About: groupAbout(one.Group)})
	}
	g := &p.Groups[i]
	g.Rows, g.Moves = append(g.Rows, one), g.Moves || one.measured()
	if g.from.IsZero() || one.Began.Before(g.from) {
		g.from = one.Began
	}
	if end := one.Began.Add(time.Duration(one.Seconds * float64(time.Second))); end.After(g.to) {
		g.to = end
	}
}

// kindWords describes a kind of nodes.
func kindWords(kind string) string {
	if kind == "vm" {
		return "virtual machines with real ZFS"
	}
	return "namespaces with simulated ZFS"
}

// nodesOf returns the names of the observed nodes, sorted.
func nodesOf(r Result) []string {
	var names []string
	for _, lane := range r.Lanes {
		if lane.Node != "" && !slices.Contains(names, lane.Node) {
			names = append(names, lane.Node)
		}
	}
	slices.Sort(names)
	return names
}

// places returns all names of the first node in any result, of the second node,
// and so on.
func places(results []Result) [][]string {
	var all [][]string
	for _, r := range results {
		for i, name := range nodesOf(r) {
			if i == len(all) {
				all = append(all, nil)
			}
			if !slices.Contains(all[i], name) {
				all[i] = append(all[i], name)
			}
		}
	}
	return all
}

// classOf returns the style of a node's bars.
func classOf(node int) string {
	if classes := []string{"first", "second", "third"}; node >= 0 && node < len(classes) {
		return classes[node]
	}
	return "either"
}

// middle returns the median and the maximum of some seconds.
func middle(list []float64) string {
	if len(list) == 0 {
		return ""
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return fmt.Sprintf("%.1f / %.1f s", list[len(list)/2], list[len(list)-1])
}

func newRow(r Result, id string) row {
	nodes := nodesOf(r)
	one := row{Result: r, ID: id, About: about(r.Scenario), Class: "failed", Cells: r.cells()}
	if r.Verdict == Passed {
		one.Class = "passed"
	}
	from, to := extent(r.Lanes)
	if from >= to {
		return one
	}
	percent := func(at float64) string { return fmt.Sprintf("%.2f", 100*(at-from)/(to-from)) }
	last := ""
	for i, lane := range r.Lanes {
		s := strip{Label: laneLabel(lane), Text: laneText(lane), Begins: i > 0 && lane.Node != last}
		last = lane.Node
		for _, b := range lane.Bars {
			s.Rects = append(s.Rects, rect{barClass(b, nodes), percent(b.From), fmt.Sprintf("%.2f", 100*(b.To-b.From)/(to-from)), opacity(b)})
		}
		one.Strips = append(one.Strips, s)
	}
	if r.Projects > 0 {
		one.mark(r, percent)
	}
	for _, at := range ticks(from, to) {
		anchor := "middle"
		switch {
		case (to-at)/(to-from) < 0.03:
			anchor = "end"
		case (at-from)/(to-from) < 0.03:
			anchor = "start"
		}
		one.Ticks = append(one.Ticks, tick{X: percent(at), Text: fmt.Sprintf("%g", at), Anchor: anchor})
		one.Lines = append(one.Lines, tick{X: percent(at), Class: "grid"})
	}
	slices.SortStableFunc(one.Lines, func(a, b tick) int { return cmp.Compare(b.Class, a.Class) })
	return one
}

// mark marks the fault and the end of the outage.
func (one *row) mark(r Result, percent func(float64) string) {
	one.Lines = append(one.Lines, tick{X: percent(0), Class: "fault"})
	for _, at := range []float64{r.Address, r.Traefik, r.Projects} {
		one.Lines = append(one.Lines, tick{X: percent(at), Class: "mark"})
	}
	_, to := extent(r.Lanes)
	all := max(r.Traefik, r.Projects)
	served := tick{X: percent(all), Text: fmt.Sprintf("all served: %.1f s", all), Anchor: "start"}
	if all > to*0.7 {
		served.Anchor = "end"
	}
	one.Marks = append(one.Marks, served)
	if served.Anchor == "start" && all > to/4 || all > to*0.9 { // or the two would overlap
		one.Marks = append(one.Marks, tick{X: percent(0), Text: "fault", Anchor: "start"})
	}
}

// extent returns the time that the lanes cover.
func extent(lanes []Lane) (from, to float64) {
	from, to = math.Inf(1), math.Inf(-1)
	for _, lane := range lanes {
		for _, b := range lane.Bars {
			from, to = min(from, b.From), max(to, b.To)
		}
	}
	return from, to
}

// ticks returns at most eight round moments between two times.
func ticks(from, to float64) []float64 {
	step := 0.5
	for _, s := range []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600} {
		if (to-from)/step <= 8 {
			break
		}
		step = s
	}
	var list []float64
	for at := math.Ceil(from/step) * step; at <= to; at += step {
		list = append(list, at+0) // -0 reads as such
	}
	return list
}

func laneLabel(l Lane) string {
	switch l.What {
	case "address":
		return l.Node + " has the virtual IP"
	case "data":
		return l.Node + " can write data"
	case "services":
		return l.Node + " runs services"
	case "traefik":
		return "Traefik answers"
	}
	return l.What + " answers"
}

// laneText describes a lane in words, for screen readers.
func laneText(l Lane) string {
	var parts []string
	for _, b := range l.Bars {
		text := b.Kind
		if b.Kind == "answers" && b.Node != "" {
			text = b.Node + " answers"
		}
		parts = append(parts, fmt.Sprintf("%s from %.1f to %.1f s", text, b.From, b.To))
	}
	if len(parts) == 0 {
		return "never"
	}
	if len(parts) > 12 {
		parts = append(parts[:12], "and so on")
	}
	return strings.Join(parts, ", ")
}

func barClass(b Bar, nodes []string) string {
	if b.Kind == "fails" || b.Kind == "silent" {
		return b.Kind
	}
	return classOf(slices.Index(nodes, b.Node))
}

func opacity(b Bar) string {
	if b.Share > 0 && b.Share < 1 {
		return fmt.Sprintf("%.2f", 0.3+0.6*b.Share)
	}
	return "1"
}
