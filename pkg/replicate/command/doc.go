// Package command is zfs-replicate's command line: its flags, and how its
// results look to a person, to cron and to a program. What the commands do is
// in package replicate.
package command
