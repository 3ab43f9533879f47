//go:build !man

package cli

import "github.com/spf13/cobra"

// addMan adds nothing: the man pages are made by a build of their own.
func (p *Process) addMan(*cobra.Command) {}
