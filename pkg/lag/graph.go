package lag

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/report"
)

// Curve is what is drawn: one standby's lag over time.
type Curve struct {
	Title     string
	Points    []Point // oldest first, all of one standby
	Dataset   string  // draw this dataset's lag instead of the largest
	Failovers []Failover
	From, To  time.Time
	// Warning and Critical are the limits in seconds.
	Warning, Critical float64
}

// value is a point's lag in seconds.
func (c Curve) value(p Point) float64 {
	if c.Dataset != "" {
		return p.Datasets[c.Dataset]
	}
	return p.Seconds
}

// top is the upper end of the axis, in seconds: some round figure above all.
func (c Curve) top() float64 {
	highest := 0.0
	for _, p := range c.Points {
		highest = max(highest, c.value(p))
	}
	for _, round := range []float64{10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 2 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400} {
		if highest <= round {
			return round
		}
	}
	return math.Ceil(highest/86400) * 86400
}

// column returns which of n columns a time falls into.
func (c Curve) column(at time.Time, n int) int {
	span := c.To.Sub(c.From)
	if span <= 0 {
		return 0
	}
	return min(max(int(float64(at.Sub(c.From))/float64(span)*float64(n)), 0), n-1)
}

// blocks are an eighth to eight eighths of a cell.
var blocks = []rune("▁▂▃▄▅▆▇█")

// axisWidth is how wide the figures on the left are.
const axisWidth = 8

// Text draws the curve with characters, width columns wide and height rows
// high. Each column shows the largest lag within its time; "·" is a time
// without measurements, "x" one in which the standby was not asked.
func (c Curve) Text(width, height int) string {
	n := max(width-axisWidth-2, 10)
	top := c.top()
	highest, asked := make([]float64, n), make([]bool, n)
	for i := range highest {
		highest[i] = -1
	}
	for _, p := range c.Points {
		i := c.column(p.At, n)
		highest[i] = max(highest[i], c.value(p))
		asked[i] = asked[i] || p.Asked
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", c.Title)
	for row := height - 1; row >= 0; row-- {
		label := ""
		if row == height-1 || row == height/2 {
			label = report.Seconds(top * float64(row+1) / float64(height))
		}
		fmt.Fprintf(&b, "%*s │", axisWidth-1, label)
		line := make([]rune, n)
		for i, v := range highest {
			line[i] = cell(v, top, row, height)
		}
		b.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	fmt.Fprintf(&b, "%*s └%s\n", axisWidth-1, "0s", c.bottom(n, highest, asked))
	left, right := c.From.Local().Format("Jan 2 15:04"), c.To.Local().Format("Jan 2 15:04")
	fmt.Fprintf(&b, "%*s  %s%*s\n", axisWidth-1, "", left, n-len(left), right)
	for _, f := range c.Failovers {
		fmt.Fprintf(&b, "%*s  ▲ %s %s became active\n", axisWidth-1, "", f.At.Local().Format(time.DateTime), f.To)
	}
	return b.String()
}

// cell is one character of the drawing: a value's part in one row.
func cell(value, top float64, row, height int) rune {
	if value < 0 {
		return ' '
	}
	eighths := int(math.Round(value / top * float64(height*8)))
	if value > 0 {
		eighths = max(eighths, 1)
	}
	switch here := eighths - row*8; {
	case here <= 0:
		return ' '
	default:
		return blocks[min(here, 8)-1]
	}
}

// bottom is the line below, with what is special about each column.
func (c Curve) bottom(n int, highest []float64, asked []bool) string {
	line := make([]rune, n)
	for i := range line {
		switch {
		case highest[i] < 0:
			line[i] = '·'
		case !asked[i]:
			line[i] = 'x'
		default:
			line[i] = '─'
		}
	}
	for _, f := range c.Failovers {
		line[c.column(f.At, n)] = '▲'
	}
	return string(line)
}
