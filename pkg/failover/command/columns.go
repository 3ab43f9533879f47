package command

import (
	"strings"
	"unicode/utf8"
)

// The widths of status, in characters.
const (
	width      = 80
	labelWidth = 13
	gap        = 2
	// abreast is the number of nodes side by side.
	abreast = 2
)

// columns formats rows of a label and a cell for each node, each wrapped to its
// column. It leaves out rows without content.
func columns(rows [][]string) string {
	var text strings.Builder
	for _, row := range rows {
		cellWidth := (width - labelWidth - gap*(len(row)-2)) / (len(row) - 1)
		if strings.Join(row[1:], "") == "" {
			continue
		}
		cells := make([][]string, len(row))
		cells[0] = []string{row[0]}
		height := 1
		for i, cell := range row[1:] {
			cells[i+1] = wrap(cell, cellWidth)
			height = max(height, len(cells[i+1]))
		}
		for line := range height {
			out := ""
			for i, cell := range cells {
				part := ""
				if line < len(cell) {
					part = cell[line]
				}
				switch i {
				case 0:
					out = pad(part, labelWidth)
				default:
					out += pad(part, cellWidth+gap)
				}
			}
			text.WriteString(strings.TrimRight(out, " ") + "\n")
		}
	}
	return text.String()
}

func pad(text string, to int) string {
	return text + strings.Repeat(" ", max(0, to-utf8.RuneCountInString(text)))
}

// wrap breaks text into lines of at most width characters, between words if possible.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		for {
			joined := strings.TrimPrefix(line+" "+word, " ")
			if utf8.RuneCountInString(joined) <= width {
				line = joined
				break
			}
			if line != "" {
				lines, line = append(lines, line), ""
				continue
			}
			runes := []rune(word)
			lines, word = append(lines, string(runes[:width])), string(runes[width:])
		}
	}
	return append(lines, line)
}
