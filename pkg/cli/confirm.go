package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Confirm shows the operator the consequences, and asks whether to continue. Where
// nobody is there to be asked it is a *UsageError: --yes was to be given.
func (p *Process) Confirm(question string, show func(io.Writer) error) (bool, error) {
	in, ok := p.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) || !p.StderrTerminal {
		return false, Usagef("nobody can be asked here: give --yes, or look first with --dry-run")
	}
	if err := show(p.Stderr); err != nil {
		return false, fmt.Errorf("write the question: %w", err)
	}
	fmt.Fprintf(p.Stderr, "%s [y/N] ", question)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}
