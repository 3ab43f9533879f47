// Package leasetest runs a real etcd on loopback for tests.
package leasetest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/understudy-ha/understudy/internal/testhost"
)

// Program is Debian's etcd, which `make setup` installs.
const Program = "/usr/bin/etcd"

// patience is how long etcd may take to answer on a busy machine.
const patience = 30 * time.Second

// Server is one etcd, a member of a cluster or a cluster of its own. It ends with the
// test, or with the test's process.
type Server struct {
	Endpoint string
	Client   *clientv3.Client

	t    *testing.T
	argv []string
	cmd  *exec.Cmd
	log  bytes.Buffer
}

// Missing skips a test if there is no etcd, or fails it if nothing may be skipped.
func Missing(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(Program); err == nil {
		return
	}
	testhost.Missing(t, "%s is missing; run make setup", Program)
}

// Start starts an etcd with an empty folder of its own.
func Start(t *testing.T, args ...string) *Server {
	t.Helper()
	Missing(t)
	at := free(t, 2)
	s := &Server{t: t, Endpoint: "http://" + at[0]}
	s.argv = append(Args(t.TempDir(), "http://"+at[0], "http://"+at[1]), args...)
	s.Run()
	t.Cleanup(func() {
		s.End()
		if t.Failed() {
			t.Logf("etcd said:\n%s", s.log.String())
		}
	})
	return s
}

// Args returns the arguments of an etcd that is a cluster of its own.
func Args(dir, client, peer string) []string {
	return []string{Program, "--name", "test", "--data-dir", dir, "--unsafe-no-fsync",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "test=" + peer,
		"--logger", "zap", "--log-level", "error"}
}

// Run starts it again, with its data.
func (s *Server) Run() {
	s.t.Helper()
	s.launch()
	s.await()
}

// launch starts the process.
func (s *Server) launch() {
	s.t.Helper()
	s.cmd = exec.Command(s.argv[0], s.argv[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if runtime.GOARCH != "amd64" {
		s.cmd.Env = append(os.Environ(), "ETCD_UNSUPPORTED_ARCH="+runtime.GOARCH) // older ones ask for it
	}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{s.Endpoint}, Logger: zap.NewNop()})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Client = client
}

// await waits until it answers with its cluster's agreement.
func (s *Server) await() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for {
		one, done := context.WithTimeout(ctx, time.Second)
		_, err := s.Client.Get(one, "is it up")
		done()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			s.t.Fatalf("etcd does not answer: %v\n%s", err, s.log.String())
		}
	}
}

// End kills it if it runs.
func (s *Server) End() {
	if s.cmd == nil {
		return
	}
	s.Client.Close()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it was killed
	s.cmd = nil
}

// Freeze stops it until Thaw: it accepts connections and does not answer. Freeze waits
// until the last of its threads has stopped, because it can answer until then.
func (s *Server) Freeze() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	for began := time.Now(); !s.frozen(); time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			s.t.Fatal("etcd does not freeze")
		}
	}
}

// frozen reports whether each thread is stopped.
func (s *Server) frozen() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		s.t.Fatalf("etcd has no threads: %v", err)
	}
	for _, thread := range threads {
		// "PID (NAME) STATE …"; one that has ended meanwhile does nothing either.
		text, err := os.ReadFile(thread)
		if at := bytes.LastIndex(text, []byte(") ")); err == nil && (at < 0 || !bytes.HasPrefix(text[at:], []byte(") T"))) {
			return false
		}
	}
	return true
}

// Thaw resumes it.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(number syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(number); err != nil {
		s.t.Fatal(err)
	}
}

// free returns different addresses on which no process listens.
func free(t *testing.T, count int) (addresses []string) {
	t.Helper()
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses
}
