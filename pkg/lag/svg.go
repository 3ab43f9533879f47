package lag

import (
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/report"
)

// The drawing's measures, in pixels.
const (
	svgWidth, svgHeight          = 900, 300
	svgLeft, svgTop              = 70, 40
	svgPlotWidth, svgPlotHeight  = svgWidth - svgLeft - 20, svgHeight - svgTop - 40
	svgLimitWarning, svgLimitBad = "#c80", "#c00"
)

// SVG draws the curve as a picture that needs nothing else.
func (c Curve) SVG() string {
	top := c.top()
	x := func(at time.Time) float64 {
		span := c.To.Sub(c.From).Seconds()
		if span <= 0 {
			return svgLeft
		}
		return svgLeft + svgPlotWidth*min(max(at.Sub(c.From).Seconds()/span, 0), 1)
	}
	y := func(v float64) float64 { return svgTop + svgPlotHeight*(1-min(v/top, 1)) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", svgWidth, svgHeight, svgWidth, svgHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", svgWidth, svgHeight)
	fmt.Fprintf(&b, `<text x="%d" y="20" font-size="15">%s</text>`+"\n", svgLeft, html.EscapeString(c.Title))
	for i := range 5 {
		v := top * float64(i) / 4
		fmt.Fprintf(&b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			svgLeft, y(v), svgLeft+svgPlotWidth, y(v), svgLeft-6, y(v)+4, report.Seconds(v))
	}
	for i := range 7 {
		at := c.From.Add(c.To.Sub(c.From) * time.Duration(i) / 6)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(at), svgHeight-20, at.Local().Format("Jan 2 15:04"))
	}
	for _, limit := range []struct {
		value  float64
		colour string
	}{{c.Warning, svgLimitWarning}, {c.Critical, svgLimitBad}} {
		if limit.value > 0 && limit.value <= top {
			fmt.Fprintf(&b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="%s" stroke-dasharray="4 4"/>`+"\n", svgLeft, y(limit.value), svgLeft+svgPlotWidth, y(limit.value), limit.colour)
		}
	}
	for _, f := range c.Failovers {
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#06c" stroke-width="2"/><text x="%.1f" y="%d" fill="#06c">%s active</text>`+"\n",
			x(f.At), svgTop, x(f.At), svgTop+svgPlotHeight, x(f.At)+4, svgTop+12, html.EscapeString(f.To))
	}
	b.WriteString(c.svgPath(x, y))
	b.WriteString("</svg>\n")
	return b.String()
}

// svgPath is the line itself, and a mark for each time at which the standby was
// not asked.
func (c Curve) svgPath(x func(time.Time) float64, y func(float64) float64) string {
	if len(c.Points) == 0 {
		return ""
	}
	var path, marks strings.Builder
	for i, p := range c.Points {
		command := 'L'
		if i == 0 {
			command = 'M'
		}
		fmt.Fprintf(&path, "%c%.1f %.1f", command, x(p.At), y(c.value(p)))
		if !p.Asked {
			fmt.Fprintf(&marks, `<circle cx="%.1f" cy="%.1f" r="2" fill="%s"/>`+"\n", x(p.At), y(c.value(p)), svgLimitBad)
		}
	}
	return fmt.Sprintf(`<path d="%s" fill="none" stroke="#083" stroke-width="1.5"/>`+"\n", path.String()) + marks.String()
}
