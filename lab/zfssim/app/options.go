package app

import (
	"fmt"
	"strings"
)

// Option is one flag of a command line with its argument, if it takes one.
type Option struct {
	Flag rune
	Arg  string
}

// ParseOptions reads args as getopt(3) does: spec lists the flags, a colon
// after one says that it takes an argument; flags may stand after operands;
// "--" ends them. ok is false after a usage error, which it has printed.
func (a *App) ParseOptions(args []string, spec string) (opts []Option, rest []string, ok bool) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return opts, append(rest, args[i+1:]...), true
		}
		if len(arg) < 2 || arg[0] != '-' {
			rest = append(rest, arg)
			continue
		}
		letters := []rune(arg[1:])
		for j, c := range letters {
			at := strings.IndexRune(spec, c)
			if at < 0 || c == ':' {
				fmt.Fprintf(a.Err, "invalid option '%c'\n", c)
				a.Usage()
				return nil, nil, false
			}
			if at+1 >= len(spec) || spec[at+1] != ':' {
				opts = append(opts, Option{Flag: c})
				continue
			}
			value := string(letters[j+1:])
			if value == "" {
				i++
				if i >= len(args) {
					fmt.Fprintf(a.Err, "missing argument for '%c' option\n", c)
					a.Usage()
					return nil, nil, false
				}
				value = args[i]
			}
			opts = append(opts, Option{c, value})
			break
		}
	}
	return opts, rest, true
}

// UsageError prints a line and the command's usage, and returns 2.
func (a *App) UsageError(format string, args ...any) int {
	fmt.Fprintf(a.Err, format+"\n", args...)
	return a.Usage()
}

// Usage prints the command's usage on standard error and returns 2.
func (a *App) Usage() int {
	table := usages()
	if a.Pool {
		table = poolUsages()
	}
	fmt.Fprintf(a.Err, "usage:\n\t%s\n", table[a.Cmd])
	if !a.Pool {
		fmt.Fprint(a.Err, "\nFor the property list, run: zfs set|get\n"+
			"\nFor the delegated permission list, run: zfs allow|unallow\n"+
			"\nFor further help on a command or topic, run: zfs help [<topic>]\n")
	}
	return 2
}

// SplitProperty splits name=value.
func SplitProperty(s string) (name, value string, ok bool) { return strings.Cut(s, "=") }
