package setup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// width is the greatest length of a line.
const width = 80

// Dialog is the dialog with the operator.
type Dialog struct {
	Out io.Writer
	// In reads the operator's answers; nil without a terminal.
	In *bufio.Reader
	// Verbose also shows the files and commands of each step.
	Verbose bool
}

// say prints a line. A failed write does not end the setup.
func (t Dialog) say(format string, args ...any) { fmt.Fprintf(t.Out, format+"\n", args...) }

// paragraph prints text in lines of at most 80 columns, behind a label.
func (t Dialog) paragraph(label, text string) {
	indent := strings.Repeat(" ", len([]rune(label)))
	line := label
	room := len([]rune(label))
	for i, word := range strings.Fields(text) {
		switch length := len([]rune(word)); {
		case i > 0 && room+1+length > width:
			t.say("%s", line)
			line, room = indent+word, len(indent)+length
		case i > 0:
			line, room = line+" "+word, room+1+length
		default:
			line, room = line+word, room+length
		}
	}
	t.say("%s", line)
}

// detail prints text indented.
func (t Dialog) detail(text string) {
	for line := range strings.Lines(text) {
		t.say("          %s", strings.TrimRight(line, "\n"))
	}
}

// ask asks for one value. An empty answer is the default.
func (t Dialog) ask(question, byDefault string) (string, error) {
	if byDefault != "" {
		question += " [" + byDefault + "]"
	}
	fmt.Fprintf(t.Out, "%s: ", question)
	line, err := t.In.ReadString('\n')
	if err != nil && (!errors.Is(err, io.EOF) || line == "") {
		return "", fmt.Errorf("read the answer to %q: %w", question, err)
	}
	if line = strings.TrimSpace(line); line == "" {
		return byDefault, nil
	}
	return line, nil
}

// Confirm asks a question that needs yes or no.
func (t Dialog) Confirm(question string) (bool, error) {
	for {
		answer, err := t.ask(question+" (yes/no)", "")
		if err != nil {
			return false, err
		}
		switch strings.ToLower(answer) {
		case "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		}
	}
}
