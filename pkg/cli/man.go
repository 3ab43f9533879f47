//go:build man

package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// addMan adds the hidden command that writes the man pages. It is for
// packaging: installed programs bring their pages along and are built without
// it, since what it needs would be a tenth of the start of every program.
func (p *Process) addMan(root *cobra.Command) {
	root.AddCommand(&cobra.Command{
		Use:    "man DIRECTORY",
		Short:  "Write the man pages of all commands into a directory",
		Long:   "Write the man pages of all commands into a directory, which is made when missing.\nSOURCE_DATE_EPOCH sets their date.",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			return p.writeManPages(c.Root(), args[0])
		},
	})
}

// manSection is that of commands for administrators.
const manSection = "8"

func (p *Process) writeManPages(root *cobra.Command, dir string) error {
	date := p.Now()
	if epoch := p.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return Usagef("SOURCE_DATE_EPOCH %q is not a number of seconds", epoch)
		}
		date = time.Unix(seconds, 0)
	}
	date = date.UTC()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder for man pages: %w", err)
	}
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Hidden = true // five pages that every program would bring again
		}
	}
	describe(root)
	err := doc.GenManTreeFromOpts(root, doc.GenManTreeOptions{
		Path:             dir,
		CommandSeparator: "-",
		Header:           &doc.GenManHeader{Section: manSection, Date: &date, Source: "Understudy", Manual: "Understudy"},
	})
	if err != nil {
		return fmt.Errorf("write man pages into %s: %w", dir, err)
	}
	return nil
}

// describe adds to the descriptions what cobra leaves to its user: the commands, the
// EXIT STATUS section and, for a program, where its files are. It changes the
// commands, which end with the process.
func describe(c *cobra.Command) {
	// Read before the commands below: they inherit, and Long is no annotation.
	status := exitStatus(c)
	if c.Long == "" {
		c.Long = c.Short
	}
	c.Long = strings.TrimSpace(c.Long) + listed(c) + "\n\n# EXIT STATUS\n```\n" + status + "\n```\n"
	if !c.HasParent() {
		c.Long += manFiles
	}
	for _, sub := range c.Commands() {
		describe(sub)
	}
}

// manFiles are the files of all programs.
const manFiles = `
# FILES
**/etc/understudy/config.yaml**
:   the configuration, the same on all nodes

**/var/lib/understudy**
:   role, term and history; do not delete them

**/usr/share/doc/understudy/docs**
:   how it works, the glossary, every key of the configuration, and the runbooks for failures
`

// listed are the sections of the commands below c.
func listed(c *cobra.Command) string {
	var people, called strings.Builder
	for _, sub := range c.Commands() {
		if !sub.IsAvailableCommand() {
			continue
		}
		b := &people
		if sub.Annotations[calledKey] != "" {
			b = &called
		}
		fmt.Fprintf(b, "\n\n**%s**\n:   %s", sub.Name(), sub.Short)
	}
	text := ""
	if people.Len() > 0 {
		text += "\n\n# COMMANDS" + people.String()
	}
	if called.Len() > 0 {
		text += "\n\n# CALLED BY OTHER PROGRAMS" + called.String()
	}
	return text
}
