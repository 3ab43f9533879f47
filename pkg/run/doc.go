// Package run starts other programs. Every call has a deadline, a process group
// that dies with its parent, and a bounded tail of stderr. An error names the
// program that failed, how, and after how long.
//
// It knows argv slices only; package remote quotes words for a shell elsewhere.
// It must not know what the programs are for.
package run
