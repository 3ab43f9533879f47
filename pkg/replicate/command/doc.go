// Package command is zfs-replicate's command line: its flags, and the output for the
// operator, for cron and for programs. Each command parses its flags, calls one
// function of package replicate, session or rejoin, and prints the result.
package command
