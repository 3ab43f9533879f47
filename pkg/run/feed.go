package run

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// feedBuffer is how many bytes a feed takes before the writer has to wait.
const feedBuffer = 1 << 20

// Feed makes a connection for bulk data to a program: input becomes its stdin
// (close it once the program was started), and what is written to output
// arrives there.
//
// It is a pair of sockets and not a pipe. A full pipe wakes its writer for every
// few kilobytes that are read, at the cost of a context switch each time; a socket
// wakes it when three quarters are free.
func Feed() (input, output *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a pair of sockets: %w", os.NewSyscallError("socketpair", err))
	}
	input = os.NewFile(uintptr(pair[0]), "feed")
	// Without privileges the limit is net.core.wmem_max: smaller, but enough.
	if unix.SetsockoptInt(pair[1], unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, feedBuffer) != nil {
		_ = unix.SetsockoptInt(pair[1], unix.SOL_SOCKET, unix.SO_SNDBUF, feedBuffer)
	}
	if err := unix.SetNonblock(pair[1], true); err != nil {
		input.Close()
		_ = unix.Close(pair[1])
		return nil, nil, fmt.Errorf("prepare a pair of sockets: %w", os.NewSyscallError("fcntl", err))
	}
	return input, os.NewFile(uintptr(pair[1]), "feed"), nil
}
