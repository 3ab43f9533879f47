// Package cli owns the process: its streams, logger, signals, search path,
// exit codes, version, and what all programs of the toolkit offer alike —
// global flags, help with an EXIT STATUS section, completion, man pages, and
// the config command.
//
// It must not know what any program does. A program is a constructor of its
// cobra command; cmd/TOOL/main.go hands it to Main and holds nothing else.
//
// Errors are printed here and nowhere else: "TOOL: error: …", then a line
// "hint: …" for each hint. An error chooses its exit code with a method
// ExitCode() int and its advice with a method Hint() string, found anywhere
// in the tree of wrapped and joined errors; a package that returns such
// errors need not import package cli.
package cli
