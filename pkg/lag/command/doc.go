// Package command is lag-check's command line: its flags, and how its findings
// look to a person, to Nagios and to a program. What is measured is in package
// lag.
package command
