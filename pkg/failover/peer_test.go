package failover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/self"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/run"
)

// bareNode is node a of a pair, with nothing but its records.
func bareNode(t *testing.T) *Node {
	t.Helper()
	dir := t.TempDir()
	cfg := &config.Config{
		Nodes:    []config.Node{{Name: "a", Address: "10.0.0.1"}, {Name: "b", Address: "10.0.0.2"}},
		StateDir: filepath.Join(dir, "state"), RunDir: filepath.Join(dir, "run"),
		Failover: config.Failover{PeerTimeout: time.Second},
	}
	log := zerolog.New(zerolog.NewTestWriter(t))
	records, err := self.Open(cfg, cfg.Nodes[0], run.New(log), log)
	if err != nil {
		t.Fatal(err)
	}
	return &Node{Records: records}
}

// sshd of today locks out who connects and says nothing a dozen times: a node that
// answers is not probed each time.
func TestANodeThatAnswersIsNotProbedAgain(t *testing.T) {
	f := bareNode(t)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var probes atomic.Int64
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			probes.Add(1)
			conn.Close()
		}
	}()
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	answers := func(script string) {
		if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f.Config.SSH.Port = listener.Addr().(*net.TCPAddr).Port
	f.Config.Failover.PeerTimeout *= 10
	peers, peer := newSSHPeers(f), f.Config.Nodes[1]
	peer.Address = "127.0.0.1"

	answers(`echo '{"node": "b", "role": "demoting"}'`)
	for range 20 {
		if answer, err := peers.Ask(t.Context(), peer); err != nil || answer.Node != "b" {
			t.Fatal(answer, err)
		}
	}
	if n := probes.Load(); n > 1 { // one, if ssh was slow the first time
		t.Errorf("%d probes for 20 answers", n)
	}
	// It fails: the port is probed again.
	answers(fmt.Sprintf("echo broken >&2; exit %d", 1))
	var gone *remote.UnreachableError
	for range 2 {
		if _, err := peers.Ask(t.Context(), peer); err == nil || errors.As(err, &gone) {
			t.Errorf("error %v", err)
		}
	}
	answers(`echo '{"node": "b"}'`)
	if _, err := peers.Ask(t.Context(), peer); err != nil {
		t.Fatal(err)
	}
	listener.Close()
	answers("exit 255")
	if _, err := peers.Ask(t.Context(), peer); !errors.As(err, &gone) {
		t.Errorf("it went off right after an answer: error %v", err)
	}
	// Its power goes right after an answer: ssh waits, and says nothing.
	answers(`echo '{"node": "b"}'`)
	if _, err := peers.Ask(t.Context(), peer); err != nil {
		t.Fatal(err)
	}
	answers("exec sleep 600")
	ctx, cancel := context.WithTimeout(t.Context(), f.Config.Failover.PeerTimeout/2)
	defer cancel()
	if _, err := peers.Ask(ctx, peer); !errors.As(err, &gone) || ctx.Err() != nil {
		t.Errorf("its power went right after an answer: error %v", err)
	}
}

// A node with an older release, which knows nothing of terms in a question, is asked
// without.
func TestAskingAnOlderRelease(t *testing.T) {
	f := bareNode(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0") // which is probed when ssh is slow
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	f.Config.SSH.Port = listener.Addr().(*net.TCPAddr).Port
	f.Config.Failover.PeerTimeout *= 10
	peer := f.Config.Nodes[1]
	peer.Address = "127.0.0.1"
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for _, refusal := range []string{
		`echo 'failover-notify: error: gate: this key is not for "peer"' >&2; exit 76`,
		`echo 'failover-notify: error: unknown flag: --newest-term' >&2; exit 64`,
	} {
		script := "#!/bin/sh\ncase \"$*\" in *newest-term*) " + refusal + " ;; esac\necho '{\"node\": \"b\", \"role\": \"active\", \"writers\": true}'\n"
		if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		peers := newSSHPeers(f)
		peers.newest = func() uint64 { return 7 }
		answer, err := peers.Ask(t.Context(), peer)
		if err != nil || !answer.Writers {
			t.Errorf("%+v, %v", answer, err)
		}
	}
}
