package cli

import (
	"fmt"
	"strings"
	"unicode"

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
		b.WriteString("\n\nAvailable Commands:")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				fmt.Fprintf(&b, "\n  %-*s %s", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	if c.HasAvailableLocalFlags() {
		b.WriteString("\n\nFlags:\n" + flagUsages(c.LocalFlags()))
	}
	if c.HasAvailableInheritedFlags() {
		b.WriteString("\n\nGlobal Flags:\n" + flagUsages(c.InheritedFlags()))
	}
	if c.HasAvailableSubCommands() {
		b.WriteString("\n\nUse \"" + c.CommandPath() + " [command] --help\" for more information about a command.")
	}
	_, err := fmt.Fprintln(c.OutOrStderr(), b.String())
	return err
}

func flagUsages(flags *pflag.FlagSet) string {
	return strings.TrimRightFunc(flags.FlagUsagesWrapped(80), unicode.IsSpace)
}

// help prints the help of c: what it does, its usage and flags, its exit
// codes.
func help(c *cobra.Command, _ []string) {
	text := c.Long
	if text == "" {
		text = c.Short
	}
	fmt.Fprintf(c.OutOrStdout(), "%s\n\n%s\nEXIT STATUS\n%s\n", strings.TrimSpace(text), c.UsageString(), exitStatus(c))
}
