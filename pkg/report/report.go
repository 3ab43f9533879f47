package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// JSON writes v, indented, with a newline.
func JSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// Table writes rows as columns, two spaces apart, without trailing spaces.
func Table(w io.Writer, rows [][]string) error {
	var aligned strings.Builder
	tabs := tabwriter.NewWriter(&aligned, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(tabs, strings.Join(row, "\t"))
	}
	if err := tabs.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(aligned.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// Bytes is a size in binary units, such as "1.5 MiB".
func Bytes(n int64) string {
	size, unit := float64(max(n, 0)), 0
	for size >= 1024 && unit < len(sizeUnits)-1 {
		size, unit = size/1024, unit+1
	}
	if unit > 0 && size < 9.95 {
		return fmt.Sprintf("%.1f %s", size, sizeUnits[unit])
	}
	return fmt.Sprintf("%.0f %s", size, sizeUnits[unit])
}

var sizeUnits = [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// Duration is a time in at most two units, such as "2h5m" or "1.4s".
func Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// Seconds is Duration for a number of seconds.
func Seconds(s float64) string { return Duration(time.Duration(s * float64(time.Second))) }
