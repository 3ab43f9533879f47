package main

import (
	"fmt"
	"strings"
)

// option is one flag of a command line with its argument, if it takes one.
type option struct {
	flag rune
	arg  string
}

// parseOptions reads args as getopt(3) does: spec lists the flags, a colon
// after one says that it takes an argument; flags may stand after operands;
// "--" ends them. ok is false after a usage error, which it has printed.
func (a *app) parseOptions(args []string, spec string) (opts []option, rest []string, ok bool) {
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
				fmt.Fprintf(a.err, "invalid option '%c'\n", c)
				a.usage()
				return nil, nil, false
			}
			if at+1 >= len(spec) || spec[at+1] != ':' {
				opts = append(opts, option{flag: c})
				continue
			}
			value := string(letters[j+1:])
			if value == "" {
				i++
				if i >= len(args) {
					fmt.Fprintf(a.err, "missing argument for '%c' option\n", c)
					a.usage()
					return nil, nil, false
				}
				value = args[i]
			}
			opts = append(opts, option{c, value})
			break
		}
	}
	return opts, rest, true
}

// usageError prints a line and the command's usage, and returns 2.
func (a *app) usageError(format string, args ...any) int {
	fmt.Fprintf(a.err, format+"\n", args...)
	return a.usage()
}

// usage prints the command's usage on standard error and returns 2.
func (a *app) usage() int {
	table := usages()
	if a.pool {
		table = poolUsages()
	}
	fmt.Fprintf(a.err, "usage:\n\t%s\n", table[a.cmd])
	if !a.pool {
		fmt.Fprint(a.err, "\nFor the property list, run: zfs set|get\n"+
			"\nFor the delegated permission list, run: zfs allow|unallow\n"+
			"\nFor further help on a command or topic, run: zfs help [<topic>]\n")
	}
	return 2
}

// splitProperty splits name=value.
func splitProperty(s string) (name, value string, ok bool) { return strings.Cut(s, "=") }
