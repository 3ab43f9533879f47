// Package run starts other programs, here or over ssh, and owns what every
// such call needs: a deadline, a process group that dies with its parent, a
// bounded tail of what was printed on stderr, and an error that says which
// program failed, how, and after how long.
//
// It knows argv slices only. Words for a remote shell are quoted in one
// place, SSH.Argv. It must not know what the programs are for.
package run
