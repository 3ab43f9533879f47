package keepalived

import (
	"fmt"
	"os"
	"strings"

	"github.com/understudy-ha/understudy/pkg/exit"
)

// PasswordError is a password file that can't be used.
type PasswordError struct {
	File string
	Text string
	hint string
}

func (e *PasswordError) Error() string {
	return fmt.Sprintf("read keepalived's password from %s: %s", e.File, e.Text)
}

// ExitCode is 78, EX_CONFIG of sysexits.h.
func (e *PasswordError) ExitCode() int { return exit.Config }

// Hint says what to do next.
func (e *PasswordError) Hint() string { return e.hint }

// ReadPassword returns the content of keepalived.password_file without the newline at
// its end, or "" if file is "". It refuses a file that other users can access.
func ReadPassword(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", &PasswordError{file, unwrapPath(err).Error(), "write it (mode 0600), the same on all nodes, or remove keepalived.password_file"}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", &PasswordError{file, fmt.Sprintf("other users can access it (mode %04o)", info.Mode().Perm()), "chmod 0600 " + file}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", &PasswordError{file, unwrapPath(err).Error(), "run this as root"}
	}
	password := strings.TrimRight(string(data), "\r\n")
	if password == "" {
		return "", &PasswordError{file, "it is empty", "write a password of up to 8 characters into it, the same on all nodes"}
	}
	return password, nil
}
