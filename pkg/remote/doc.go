// Package remote owns asking another node over ssh: the ssh command line, a
// bounded answer, whether a node can be reached at all, and the error and hint
// lines with which our programs end, there and here.
//
//	ssh.go    the command line, and what ssh's own failures mean
//	said.go   the last words of one of our programs
//	ask.go    one question with its deadline and its bound
//
// It must not know what is asked, nor what an answer means.
package remote
