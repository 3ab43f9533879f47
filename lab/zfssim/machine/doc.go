// Package machine says what the simulator needs of the machine that it runs on:
// files, live folders, mounts, a clock, random bytes.
//
// It owns these interfaces and the entries that they exchange. It must not know
// pools, nor which machine is behind the interfaces: host is a real one, memory
// one without files.
package machine
