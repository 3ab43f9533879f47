package report

import (
	"fmt"
	"strconv"
	"strings"
)

// Perf is one figure behind the | of a Nagios line. Limits that are empty are
// left out: see https://www.monitoring-plugins.org/doc/guidelines.html#AEN197
type Perf struct {
	Label             string
	Value             float64
	Unit              string // s, B, c or none
	Warning, Critical string
}

// NagiosLine is the one line that Nagios and its kin read: the service, its
// state in capitals, the text, and the figures.
func NagiosLine(service, state, text string, figures []Perf) string {
	// A | would begin the figures, and a line break end the line.
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, "|", "/")), " ")
	line := fmt.Sprintf("%s %s - %s", service, strings.ToUpper(state), text)
	for i, f := range figures {
		if i == 0 {
			line += " |"
		}
		label := strings.NewReplacer("'", "''", "=", "_").Replace(f.Label)
		value := strconv.FormatFloat(f.Value, 'f', -1, 64)
		line += strings.TrimRight(fmt.Sprintf(" '%s'=%s%s;%s;%s;0", label, value, f.Unit, f.Warning, f.Critical), ";")
	}
	return line
}
