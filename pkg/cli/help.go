package cli

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exitStatusKey is the annotation under which a command's exit codes stand.
const exitStatusKey = "understudy/exit-status"

// standardExitStatus explains the exit codes of all programs that do not
// have a convention of their own to follow.
const standardExitStatus = `  0        done, or nothing to do
  1        failed
  3        done in part: what failed is named
  64       wrong command line
  75       another run holds the lock
  76       refused: role, term or conflict
  78       wrong configuration
  130, 143 stopped by SIGINT or SIGTERM`

// SetExitStatus replaces the EXIT STATUS section of c and of the commands
// below it, for programs whose codes are given by who calls them. Lines are
// indented by two spaces.
func SetExitStatus(c *cobra.Command, text string) {
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[exitStatusKey] = text
}

// exitStatus returns the EXIT STATUS section of c: its own or the nearest
// one above.
func exitStatus(c *cobra.Command) string {
	for ; c != nil; c = c.Parent() {
		if text, ok := c.Annotations[exitStatusKey]; ok {
			return text
		}
	}
	return standardExitStatus
}

// groupKey marks a command that only holds others.
const groupKey = "understudy/group"

// calledKey marks a command that other programs call.
const calledKey = "understudy/called"

// AddCalled adds commands that keepalived, systemd or another node call rather than
// people: the help lists them apart.
func AddCalled(parent *cobra.Command, commands ...*cobra.Command) {
	for _, c := range commands {
		if c.Annotations == nil {
			c.Annotations = map[string]string{}
		}
		c.Annotations[calledKey] = "yes"
	}
	parent.AddCommand(commands...)
}

// helpWidth is how many columns a line of help may have.
const helpWidth = 80

// usage prints how c is called, as cobra does, but without the line "TOOL [flags]"
// for commands that only hold others (prepareTree makes those runnable to catch
// mistakes), and with flags that fit a terminal of 80 columns.
func usage(c *cobra.Command) error {
	var b strings.Builder
	b.WriteString("Usage:")
	if c.Runnable() && c.Annotations[groupKey] == "" {
		b.WriteString("\n  " + c.UseLine())
	}
	if c.HasAvailableSubCommands() {
		b.WriteString("\n  " + c.CommandPath() + " [command]")
	}
	if c.HasExample() {
		b.WriteString("\n\nExamples:\n" + c.Example)
	}
	if c.HasAvailableSubCommands() {
		b.WriteString("\n\nAvailable Commands:" + commands(c, false))
		if called := commands(c, true); called != "" {
			b.WriteString("\n\nCalled by other programs:" + called)
		}
	}
	if c.HasAvailableLocalFlags() {
		b.WriteString("\n\nFlags:\n" + flagUsages(c.LocalFlags()))
	}
	if c.HasAvailableInheritedFlags() {
		b.WriteString("\n\nGlobal Flags:\n" + flagUsages(c.InheritedFlags()))
	}
	if c.HasAvailableSubCommands() {
		b.WriteString("\n\n" + fill("Use \""+c.CommandPath()+" [command] --help\" for more information about a command.", 0))
	}
	_, err := fmt.Fprintln(c.OutOrStderr(), b.String())
	return err
}

// commands lists those below c that people call, or those that programs do.
func commands(c *cobra.Command, called bool) string {
	var b strings.Builder
	for _, sub := range c.Commands() {
		if (sub.IsAvailableCommand() || sub.Name() == "help") && (sub.Annotations[calledKey] != "") == called {
			name := fmt.Sprintf("  %-*s ", sub.NamePadding(), sub.Name())
			b.WriteString("\n" + name + fill(sub.Short, len(name)))
		}
	}
	return b.String()
}

// fill breaks text into lines that fit, of which all but the first are indented;
// the first stands behind as many columns.
func fill(text string, indent int) string {
	var b strings.Builder
	column := indent
	for i, word := range strings.Fields(text) {
		length := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+length > helpWidth:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += length
	}
	return b.String()
}

// filled fills each paragraph of text; one that is indented stays as it is.
func filled(text string) string {
	paragraphs := strings.Split(strings.TrimSpace(text), "\n\n")
	for i, p := range paragraphs {
		if !strings.HasPrefix(p, " ") {
			paragraphs[i] = fill(p, 0)
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

func flagUsages(flags *pflag.FlagSet) string {
	return strings.TrimRightFunc(flags.FlagUsagesWrapped(helpWidth), unicode.IsSpace)
}

// help prints the help of c: what it does, its usage and flags, its exit
// codes.
func help(c *cobra.Command, _ []string) {
	text := c.Long
	if text == "" {
		text = c.Short
	}
	fmt.Fprintf(c.OutOrStdout(), "%s\n\n%s\nEXIT STATUS\n%s\n", filled(text), c.UsageString(), exitStatus(c))
}
