// Package cron_test runs the line of the cron file as cron does.
package cron_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// job returns the user and the command of the only job in a file.
func job(t *testing.T, file string) (user, command string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "*") {
			fields := strings.SplitN(strings.TrimSpace(line), " ", 7)
			return fields[5], fields[6]
		}
	}
	t.Fatal("no job in the file")
	return "", ""
}

func TestJobs(t *testing.T) {
	for program, called := range map[string]string{"zfs-replicate": "run --scheduled", "lag-check": "--scheduled", "image-sync": "--scheduled"} {
		t.Run(program, func(t *testing.T) { testJob(t, program, called) })
	}
}

func testJob(t *testing.T, program, called string) {
	user, command := job(t, program)
	if user != "root" {
		t.Errorf("runs as %s", user)
	}
	if strings.Contains(command, "%") {
		t.Error("cron would end the command at the %")
	}
	for _, c := range []struct {
		name string
		does string // what the program does; empty: it is not installed
		want string // what cron would mail
	}{
		{"not installed", "", ""},
		{"done", "exit 0", ""},
		{"failed", "echo 'error: broke' >&2; exit 1", "error: broke\n"},
		{"as a schedule calls it", `[ "$*" = "` + called + `" ] || echo "called as $*"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.does != "" {
				script := "#!/bin/sh\n" + c.does + "\n"
				if err := os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			sh := exec.CommandContext(ctx, "/bin/sh", "-c", command)
			// Nothing else is on the path: a program that is installed on this
			// machine must not be run.
			sh.Env = []string{"PATH=" + dir}
			var mail bytes.Buffer
			sh.Stdout, sh.Stderr = &mail, &mail
			_ = sh.Run() // cron mails what is printed and ignores the code
			if ctx.Err() != nil {
				t.Fatal(ctx.Err())
			}
			if mail.String() != c.want {
				t.Errorf("mail %q, want %q", mail.String(), c.want)
			}
		})
	}
}
