package keepalived

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// hookLines checks the notify lines. Of two lines with the same keyword keepalived uses
// the first.
func (c *comparison) hookLines(s statement) {
	for _, want := range c.want.hooks {
		lines := named(s.block, want.keyword)
		if len(lines) == 0 {
			c.add(s.at(), want.keyword+" is missing", "failover-notify may not learn of a change of state", fmt.Sprintf("add %s %s", want.keyword, quote(want.command)))
			continue
		}
		if have := fields(lines[0].words[1:]); !slices.Equal(have, strings.Fields(want.command)) {
			c.add(lines[0].at(), fmt.Sprintf("%s calls %q", want.keyword, strings.Join(have, " ")), "failover-notify does not learn of this change of state", fmt.Sprintf("write %s %s", want.keyword, quote(want.command)))
		}
		for _, line := range lines[1:] {
			c.add(line.at(), want.keyword+" again", "keepalived uses the first and ignores this line", "remove one")
		}
	}
}

// commandWords returns the command of a vrrp_script.
func commandWords(script statement) []string {
	for _, line := range named(script.block, "script") {
		return fields(line.words[1:])
	}
	return nil
}

// fields splits a quoted command into words, without a user after the quotes. It
// returns an unquoted command unchanged.
func fields(words []string) []string {
	if len(words) > 0 && strings.ContainsAny(words[0], " \t") {
		return strings.Fields(words[0])
	}
	return words
}

// files inspects files without following links.
type files interface {
	Lstat(path string) (fs.FileInfo, error)
	EvalSymlinks(path string) (string, error)
}

type osFiles struct{}

func (osFiles) Lstat(path string) (fs.FileInfo, error)   { return os.Lstat(path) }
func (osFiles) EvalSymlinks(path string) (string, error) { return filepath.EvalSymlinks(path) }

// programs checks each named program as keepalived does.
func (c *comparison) programs(look files) {
	seen := map[string]bool{}
	check := func(s statement, words []string) {
		if len(words) == 0 || seen[words[0]] {
			return
		}
		seen[words[0]] = true
		if problem := insecure(look, words[0]); problem != "" {
			c.add(s.at(), problem, "keepalived does not run it, and counts a check that it can't run as passed", "install it again; it and its folders must belong to root and be writable only by root")
		}
	}
	for _, script := range named(c.tree, "vrrp_script") {
		check(script, commandWords(script))
	}
	for _, instance := range c.instances() {
		for _, line := range instance.block {
			if strings.HasPrefix(line.words[0], "notify") && len(line.words) > 1 {
				check(line, fields(line.words[1:]))
			}
		}
	}
}

// Insecure returns why keepalived's script security refuses a program, or why it can't
// run; "" if it can.
func Insecure(program string) string { return insecure(osFiles{}, program) }

// insecure checks the path from the root, and that of the file it links to.
func insecure(look files, program string) string {
	if !filepath.IsAbs(program) {
		return program + " is not an absolute path"
	}
	real, err := look.EvalSymlinks(program)
	if err != nil {
		return fmt.Sprintf("%s does not exist: %v", program, unwrapPath(err))
	}
	for _, path := range []string{filepath.Clean(program), real} {
		if problem := insecurePath(look, path); problem != "" {
			return problem
		}
	}
	info, err := look.Lstat(real)
	switch {
	case err != nil:
		return fmt.Sprintf("%s is inaccessible: %v", real, unwrapPath(err))
	case !info.Mode().IsRegular():
		return real + " is not a file"
	case info.Mode().Perm()&0o100 == 0:
		return real + " is not executable by root"
	}
	return ""
}

// insecurePath checks each component of a path. Folders with the sticky bit are as safe
// as their entries, and links as their targets.
func insecurePath(look files, path string) string {
	parts := []string{"/"}
	for i := 1; i <= len(path); i++ {
		if i == len(path) || path[i] == '/' {
			parts = append(parts, path[:i])
		}
	}
	for _, part := range parts {
		info, err := look.Lstat(part)
		if err != nil {
			return fmt.Sprintf("%s is inaccessible: %v", part, unwrapPath(err))
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return part + " has an unknown owner"
		}
		link, sticky := info.Mode()&fs.ModeSymlink != 0, info.IsDir() && info.Mode()&fs.ModeSticky != 0
		switch {
		case stat.Uid != 0:
			return fmt.Sprintf("%s belongs to user %d, not to root", part, stat.Uid)
		case link || sticky:
		case info.Mode().Perm()&0o002 != 0:
			return part + " is writable by everybody"
		case info.Mode().Perm()&0o020 != 0 && stat.Gid != 0:
			return fmt.Sprintf("%s is writable by group %d", part, stat.Gid)
		}
	}
	return ""
}

// unwrapPath removes the operation and the path from an error of package os; the
// message contains both.
func unwrapPath(err error) error {
	if path, ok := err.(*fs.PathError); ok {
		return path.Err
	}
	return err
}
