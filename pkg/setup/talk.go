package setup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// width is how many columns a line may have.
const width = 80

// Talk is how a person is spoken to.
type Talk struct {
	Out io.Writer
	// In gives a person's answers; nil where nobody can be asked.
	In *bufio.Reader
	// Verbose shows the files and commands of each step, too.
	Verbose bool
}

// say prints a line. That nobody may read it does not end a set-up.
func (t Talk) say(format string, args ...any) { fmt.Fprintf(t.Out, format+"\n", args...) }

// paragraph prints text in lines of at most 80 columns, behind a label.
func (t Talk) paragraph(label, text string) {
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

// detail prints what somebody wants to see who asked for it, indented.
func (t Talk) detail(text string) {
	for line := range strings.Lines(text) {
		t.say("          %s", strings.TrimRight(line, "\n"))
	}
}

// ask asks for one value. An empty answer is the usual one.
func (t Talk) ask(question, usual string) (string, error) {
	if usual != "" {
		question += " [" + usual + "]"
	}
	fmt.Fprintf(t.Out, "%s: ", question)
	line, err := t.In.ReadString('\n')
	if err != nil && (!errors.Is(err, io.EOF) || line == "") {
		return "", fmt.Errorf("read the answer to %q: %w", question, err)
	}
	if line = strings.TrimSpace(line); line == "" {
		return usual, nil
	}
	return line, nil
}

// Confirm asks a question that is answered by yes or no.
func (t Talk) Confirm(question string) (bool, error) {
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
