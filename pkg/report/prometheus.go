package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Family is one metric of Prometheus with its samples.
type Family struct {
	Name, Help string
	Type       string // gauge or counter
	Samples    []Sample
}

// Sample is one value of a family, with label names and values in turn.
type Sample struct {
	Labels []string
	Value  float64
}

// Prometheus writes families in the text format that node_exporter's textfile
// collector reads: no timestamps, families in the order of their names. One
// without samples is left out.
func Prometheus(w io.Writer, families []Family) error {
	families = slices.Clone(families)
	slices.SortFunc(families, func(a, b Family) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range families {
		if len(f.Samples) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", f.Name, escapeHelp(f.Help), f.Name, f.Type); err != nil {
			return err
		}
		for _, s := range f.Samples {
			if _, err := fmt.Fprintf(w, "%s%s %s\n", f.Name, labelText(s.Labels), strconv.FormatFloat(s.Value, 'g', -1, 64)); err != nil {
				return err
			}
		}
	}
	return nil
}

func labelText(labels []string) string {
	if len(labels) < 2 {
		return ""
	}
	var parts []string
	for i := 0; i+1 < len(labels); i += 2 {
		parts = append(parts, labels[i]+`="`+escapeLabel(labels[i+1])+`"`)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func escapeHelp(text string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(text)
}

func escapeLabel(text string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(strings.ToValidUTF8(text, "?"))
}
