// Package command holds the commands of zfs and Run, which runs any command of zfs
// and zpool on a machine.
//
// It prints what OpenZFS prints, on both streams, and returns its exit codes. It
// must not reach the machine but through package store.
package command
