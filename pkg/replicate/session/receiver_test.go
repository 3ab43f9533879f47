package session

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// guarded is a receiver on which zfs must never be reached: there is none on
// its PATH but one that leaves a trace.
func guarded(t *testing.T, change func(*Receiver)) (r *Receiver, traces func() string) {
	t.Helper()
	bin, trace := t.TempDir(), t.TempDir()+"/called"
	for _, name := range []string{"zfs", "zpool"} {
		if err := os.WriteFile(bin+"/"+name, []byte("#!/bin/sh\necho \"$@\" >> "+trace+"\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	dir, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	runner := run.New(zerolog.Nop())
	cfg := &config.Config{}
	cfg.Replication.Datasets = []config.Dataset{{Name: "tank/data", Recursive: true}}
	cfg.Replication.Timeouts = config.Timeouts{ZFS: time.Second, Stall: 4 * time.Second, Stream: 5 * time.Second}
	r = &Receiver{Config: cfg, Node: "b", State: dir, ZFS: zfs.New(runner, time.Second), Runner: runner, Log: zerolog.Nop(), Now: time.Now}
	if change != nil {
		change(r)
	}
	return r, func() string {
		called, _ := os.ReadFile(trace)
		return string(called)
	}
}

// hostile speaks to a receiver without the manners of a Session.
type hostile struct {
	t      *testing.T
	conn   net.Conn
	mux    *yamux.Session
	served chan error
}

func attack(t *testing.T, r *Receiver) *hostile {
	t.Helper()
	here, there := net.Pipe()
	h := &hostile{t: t, conn: here, served: make(chan error, 1)}
	go func() { h.served <- r.Serve(context.Background(), there) }()
	t.Cleanup(func() { here.Close() })
	line, err := bufio.NewReaderSize(here, 16).ReadString('\n')
	if err != nil || line != fmt.Sprintf("%s%d\n", preamble, protocolVersion) {
		t.Fatalf("first line %q, %v", line, err)
	}
	return h
}

func (h *hostile) open() net.Conn {
	h.t.Helper()
	if h.mux == nil {
		c := muxConfig(4*time.Second, io.Discard)
		mux, err := yamux.Client(h.conn, c)
		if err != nil {
			h.t.Fatal(err)
		}
		h.mux = mux
	}
	stream, err := h.mux.OpenStream()
	if err != nil {
		h.t.Fatal(err)
	}
	return stream
}

// say makes a call and returns the first line of the reply.
func (h *hostile) say(text string) string {
	h.t.Helper()
	stream := h.open()
	defer stream.Close()
	_, _ = io.WriteString(stream, text+"\n")
	_ = stream.SetReadDeadline(time.Now().Add(10 * time.Second))
	line, _ := bufio.NewReader(stream).ReadString('\n')
	return line
}

func (h *hostile) ended() error {
	h.t.Helper()
	select {
	case err := <-h.served:
		return err
	case <-time.After(10 * time.Second):
		h.t.Fatal("the session goes on")
		return nil
	}
}

const helloLine = `{"op":"hello","version":1,"node":"a"}`

func TestReceiverEndsTheSession(t *testing.T) {
	for _, c := range []struct {
		name, first, then, want string
	}{
		{"no JSON", "", "rm -rf /", "decode message"},
		{"call before hello", "", `{"op":"inventory"}`, "before hello"},
		{"a change in a dry run", `{"op":"hello","version":1,"node":"a","dry_run":true}`, `{"op":"abort","dataset":"tank/data"}`, "in a dry run"},
		{"unknown call", helloLine, `{"op":"destroy","dataset":"tank/data"}`, `unknown call "destroy"`},
		{"unknown field", helloLine, `{"op":"inventory","force":true}`, "unknown field"},
		{"text after the message", helloLine, `{"op":"bye"} {"op":"bye"}`, "text after its end"},
		{"message without end", helloLine, strings.Repeat("x", maxLine+1), "message of over"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, traces := guarded(t, nil)
			h := attack(t, r)
			if c.first != "" {
				if reply := h.say(c.first); strings.Contains(reply, "failure") {
					t.Fatalf("hello: %s", reply)
				}
			}
			h.say(c.then)
			if err := h.ended(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("ended with %v, want %q", err, c.want)
			}
			if called := traces(); called != "" {
				t.Errorf("zfs was called: %s", called)
			}
		})
	}
	t.Run("bytes that are no session", func(t *testing.T) {
		r, _ := guarded(t, nil)
		h := attack(t, r)
		go io.Copy(io.Discard, h.conn)
		_, _ = h.conn.Write([]byte(strings.Repeat("GET / HTTP/1.1\r\n", 100)))
		if err := h.ended(); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}

// TestReceiverTrustsNothing: a call outside this node's configuration, or one that
// forces anything, gets a failure, and zfs is never reached.
func TestReceiverTrustsNothing(t *testing.T) {
	r, traces := guarded(t, nil)
	h := attack(t, r)
	h.say(helloLine)
	for _, c := range []struct{ call, want string }{
		{`{"op":"receive","dataset":"tank","type":"filesystem"}`, "not listed"},
		{`{"op":"receive","dataset":"tank/database","type":"filesystem"}`, "not listed"},
		{`{"op":"receive","dataset":"tank/data@x","type":"filesystem"}`, "not listed"},
		{`{"op":"receive","dataset":"-F","type":"filesystem"}`, "not listed"},
		{`{"op":"receive","dataset":"tank/data/x","type":"snapshot"}`, "unknown type"},
		{`{"op":"receive","dataset":"tank/data/x","type":"filesystem","flags":"F"}`, "unknown flags"},
		{`{"op":"receive","dataset":"tank/data/x","type":"filesystem","origin":"rpool/secret@x"}`, "not listed"},
		{`{"op":"receive","dataset":"tank/data/x","type":"filesystem","compress":"xz"}`, "unknown compression"},
		{`{"op":"receive","dataset":"tank/data/x","type":"filesystem","set":{"readonly":"off"}}`, "may not be set"},
		{`{"op":"inventory","roots":[{"name":"rpool","recursive":true}]}`, "not listed"},
		{`{"op":"inventory","roots":[{"name":"tank","recursive":true}]}`, "not listed"},
		{`{"op":"rename","dataset":"tank/data/a","to":"rpool/a"}`, "not listed"},
		{`{"op":"rename","dataset":"rpool/a","to":"tank/data/a"}`, "not listed"},
		{`{"op":"abort","dataset":"rpool/a"}`, "not listed"},
		{`{"op":"contain","dataset":"tank","set":{"readonly":"off"}}`, "not listed"},
		{`{"op":"contain","dataset":"tank/data","set":{"canmount":"off"}}`, "not listed"},
	} {
		if reply := h.say(c.call); !strings.Contains(reply, `"failure"`) || !strings.Contains(reply, c.want) {
			t.Errorf("%s\n  is answered %s  want a failure with %q", c.call, reply, c.want)
		}
	}
	if called := traces(); called != "" {
		t.Errorf("zfs was called: %s", called)
	}
}

func TestReceiverGate(t *testing.T) {
	active := `{"op":"hello","version":1,"node":"a","role":"active","term":5}`
	for _, c := range []struct {
		name  string
		role  state.RoleFile
		hello string
		want  string // "" is accepted
	}{
		{"standby, older term", state.RoleFile{Role: state.RoleStandby, Term: 4}, active, ""},
		{"standby, same term", state.RoleFile{Role: state.RoleStandby, Term: 5}, active, ""},
		{"fault", state.RoleFile{Role: state.RoleFault, Term: 5}, active, ""},
		{"active", state.RoleFile{Role: state.RoleActive, Term: 4}, active, "b is active (term 4)"},
		{"promoting", state.RoleFile{Role: state.RolePromoting, Term: 6}, active, "b is promoting (term 6)"},
		{"demoting", state.RoleFile{Role: state.RoleDemoting, Term: 4}, active, "b is demoting (term 4)"},
		{"newer term seen", state.RoleFile{Role: state.RoleStandby, Term: 4, NewestTerm: 6}, active, "b has seen term 6"},
		{"no role", state.RoleFile{}, active, "no role yet"},
		{"sender is a standby", state.RoleFile{Role: state.RoleStandby, Term: 5}, `{"op":"hello","version":1,"node":"a","role":"standby","term":5}`, "a says it is standby"},
		{"sender says nothing", state.RoleFile{Role: state.RoleStandby, Term: 5}, helloLine, "a says it is unknown"},
		{"another version", state.RoleFile{Role: state.RoleStandby, Term: 5}, `{"op":"hello","version":9,"node":"a","role":"active","term":5}`, "protocol 9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, traces := guarded(t, func(r *Receiver) { r.Config.Replication.RequireRole = true })
			if err := r.State.SetRole(c.role); err != nil {
				t.Fatal(err)
			}
			h := attack(t, r)
			reply := h.say(c.hello)
			if c.want == "" && strings.Contains(reply, "failure") || c.want != "" && !strings.Contains(reply, c.want) {
				t.Errorf("answer is %s, want %q", reply, c.want)
			}
			if c.want != "" {
				h.say(`{"op":"receive","dataset":"tank/data","type":"filesystem"}`)
				if err := h.ended(); err == nil || !strings.Contains(err.Error(), "before hello") {
					t.Errorf("a refused sender goes on: %v", err)
				}
			}
			if called := traces(); called != "" {
				t.Errorf("zfs was called: %s", called)
			}
		})
	}
}

// TestReceiverNoticesPromotion: a node that becomes active ends the session at
// once.
func TestReceiverNoticesPromotion(t *testing.T) {
	r, _ := guarded(t, func(r *Receiver) { r.Config.Replication.RequireRole = true })
	if err := r.State.SetRole(state.RoleFile{Role: state.RoleStandby, Term: 5}); err != nil {
		t.Fatal(err)
	}
	h := attack(t, r)
	h.say(`{"op":"hello","version":1,"node":"a","role":"active","term":5}`)
	if err := r.State.SetRole(state.RoleFile{Role: state.RolePromoting, Term: 6}); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	err := h.ended()
	if err == nil || !strings.Contains(err.Error(), "b is promoting") {
		t.Errorf("ended with %v", err)
	}
	if took := time.Since(started); took > 2*roleWatch+time.Second {
		t.Errorf("it took %s", took)
	}
}

func FuzzReadCall(f *testing.F) {
	f.Add([]byte(helloLine + "\n"))
	f.Add([]byte("{}\n{}"))
	f.Add([]byte(`{"op":"receive","guid":"18446744073709551615"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = readCall(bufio.NewReaderSize(strings.NewReader(string(data)), 16))
	})
}
