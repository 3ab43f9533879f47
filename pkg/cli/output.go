package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Output is the flag -o of a command that prints its result as text or as JSON.
type Output struct {
	format string
	flag   *pflag.Flag
}

// AddTo adds the flag to c, and ensures that its value is checked
// before c runs.
func (o *Output) AddTo(c *cobra.Command) {
	c.Flags().StringVarP(&o.format, "output", "o", "text", "output `format`: text, or json (bytes and seconds)")
	o.flag = c.Flags().Lookup("output")
	c.PreRunE = func(*cobra.Command, []string) error {
		if o.format != "text" && o.format != "json" {
			return Usagef("--output %s: want text or json", o.format)
		}
		return nil
	}
}

// JSON reports whether JSON is asked for.
func (o *Output) JSON() bool { return o.format == "json" }

// Given reports whether somebody has asked for a format, be it the usual one.
func (o *Output) Given() bool { return o.flag.Changed }

// Printed names what failed when a result can't be written.
func Printed(err error) error {
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}
