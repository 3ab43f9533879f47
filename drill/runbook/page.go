package runbook

import (
	"fmt"
	"strconv"
	"strings"
)

// Step is one action of a page.
type Step struct {
	Line int // of the page, from 1
	// Hand names manual work; nothing below is set then.
	Hand string

	On     string // where the script is typed
	Exit   int
	Repeat bool
	Case   string // empty: in every case
	Script string
	// Output is the pattern of the output; the page shows one only where
	// HasOutput is set.
	Output    string
	HasOutput bool
}

// FormError reports a page that cannot be run.
type FormError struct {
	Line int
	Text string
}

func (e *FormError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

const (
	fence     = "```"
	handBegin = "<!-- drill: "
	handEnd   = " -->"
)

// Parse returns the steps of a page in order. The error is a *FormError.
func Parse(page string) ([]Step, error) {
	var steps []Step
	lines := strings.Split(page, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if name, found := strings.CutPrefix(line, handBegin); found {
			name, closed := strings.CutSuffix(name, handEnd)
			if !closed || name == "" {
				return nil, &FormError{i + 1, "want " + handBegin + "NAME" + handEnd}
			}
			steps = append(steps, Step{Line: i + 1, Hand: name})
			continue
		}
		info, found := strings.CutPrefix(line, fence)
		if !found {
			continue
		}
		end := i + 1
		for end < len(lines) && strings.TrimSpace(lines[end]) != fence {
			end++
		}
		if end == len(lines) {
			return nil, &FormError{i + 1, "the block has no end"}
		}
		var err error
		if steps, err = block(steps, i+1, info, body(lines[i+1:end], indent(lines[i]))); err != nil {
			return nil, err
		}
		i = end
	}
	return steps, nil
}

// block adds the contents of a fenced block to the steps.
func block(steps []Step, line int, info, text string) ([]Step, error) {
	words := strings.Fields(info)
	switch {
	case len(words) > 0 && words[0] == "sh":
		step, err := command(line, words[1:])
		step.Script = text
		return append(steps, step), err
	case len(words) == 1 && words[0] == "output":
		if len(steps) == 0 || steps[len(steps)-1].Hand != "" || steps[len(steps)-1].HasOutput {
			return nil, &FormError{line, "this output is of no command"}
		}
		last := &steps[len(steps)-1]
		last.Output, last.HasOutput = text, true
	case len(words) == 0 || words[0] == "output":
		return nil, &FormError{line, "want a block of sh, output, or another language"}
	}
	return steps, nil
}

// command parses the options after sh.
func command(line int, words []string) (Step, error) {
	s := Step{Line: line}
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch {
		case key == "on" && value != "":
			s.On = value
		case key == "when" && value != "":
			s.Case = value
		case word == "repeat":
			s.Repeat = true
		case key == "exit":
			code, err := strconv.Atoi(value)
			if err != nil {
				return s, &FormError{line, fmt.Sprintf("%q is no exit code", value)}
			}
			s.Exit = code
		default:
			return s, &FormError{line, fmt.Sprintf("%q means nothing here", word)}
		}
	}
	if s.On == "" {
		return s, &FormError{line, "on which node? want sh on=NODE"}
	}
	return s, nil
}

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// body returns the text of a block without the indentation of its list.
func body(lines []string, indent int) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(strings.TrimPrefix(line, strings.Repeat(" ", min(indent, len(line)-len(strings.TrimLeft(line, " "))))) + "\n")
	}
	return b.String()
}
