// Package host is the real machine: files on a disk, bind mounts, locks that the
// kernel frees when a process dies.
//
// It must not know pools or commands.
package host
