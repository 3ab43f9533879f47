package remote_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/run"
)

// peers has an ssh that is this shell script.
func peers(t *testing.T, ssh string) remote.Peers {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte("#!/bin/sh\n"+ssh+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return remote.Peers{Programs: run.New(zerolog.Nop()), SSH: config.SSH{User: "root", Port: 22, ConnectTimeout: time.Second}}
}

var b = config.Node{Name: "b", Address: "127.0.0.1"}

func TestJSON(t *testing.T) {
	var v struct{ A int }
	if err := peers(t, `echo '{"a": 3}'`).JSON(t.Context(), b, time.Minute, &v, "lag-check", "inventory"); err != nil || v.A != 3 {
		t.Errorf("%+v, %v", v, err)
	}
	for says, want := range map[string]string{
		`echo '{"a": '`: "read the answer of lag-check: unexpected end of JSON input",
		`echo Welcome`:  "read the answer of lag-check: invalid character",
		`echo 'lag-check: error: no' >&2; exit 76`:                        "no",
		`echo 'ssh: connect to host b: Connection refused' >&2; exit 255`: "ssh to 127.0.0.1: connection refused",
	} {
		if err := peers(t, says).JSON(t.Context(), b, time.Minute, &v, "lag-check", "inventory"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", says, err, want)
		}
	}
}

// A peer that prints without end is ended, and takes no more memory than the bound.
func TestEndlessAnswer(t *testing.T) {
	began := time.Now()
	out, err := peers(t, "exec cat /dev/zero").Output(t.Context(), b, time.Minute, "lag-check", "inventory")
	if tooLarge, ok := errors.AsType[*remote.TooLargeError](err); !ok || tooLarge.Hint() == "" || len(out) > remote.MaxAnswer {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
}

// A peer that says nothing costs its deadline.
func TestMutePeer(t *testing.T) {
	_, err := peers(t, "exec sleep 60").Output(t.Context(), b, 300*time.Millisecond, "lag-check", "inventory")
	if failed, ok := errors.AsType[*run.Error](err); !ok || !failed.TimedOut {
		t.Errorf("%v", err)
	}
}

func TestReach(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	p := peers(t, "exit 1")
	if p.SSH.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	if err := p.Reach(t.Context(), b); err != nil {
		t.Error(err)
	}
	l.Close()
	err = p.Reach(t.Context(), b)
	if unreachable, ok := errors.AsType[*remote.UnreachableError](err); !ok || unreachable.Node != "b" {
		t.Errorf("%v", err)
	}
}
