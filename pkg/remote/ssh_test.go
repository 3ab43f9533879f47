package remote

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/run"
)

func TestSSHArgv(t *testing.T) {
	s := SSH{User: "root", Host: "10.0.0.2", Port: 2222, IdentityFile: "/etc/understudy/id", KnownHostsFile: "/etc/understudy/known", ConnectTimeout: 7 * time.Second, Options: []string{"Compression=no"}}
	argv := s.Argv("/opt/it is/zfs-replicate", "receiver", "$(reboot)")
	line := strings.Join(argv, " ")
	for _, want := range []string{"-o BatchMode=yes", "-o ConnectTimeout=7", "-o ControlMaster=no", "-o StrictHostKeyChecking=yes",
		"-o UserKnownHostsFile=/etc/understudy/known", "-o IdentitiesOnly=yes -i /etc/understudy/id", "-p 2222", "-o Compression=no"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q is not in %q", want, line)
		}
	}
	at := slices.Index(argv, "--")
	if at < 0 || !slices.Equal(argv[at+1:], []string{"root@10.0.0.2", "'/opt/it is/zfs-replicate'", "receiver", "'$(reboot)'"}) {
		t.Errorf("remote words are %q", argv[at+1:])
	}
}

// The texts are what OpenSSH 9.2 and 10.0 print.
func TestSSHExplain(t *testing.T) {
	s := SSH{User: "root", Host: "10.0.0.2", IdentityFile: "/etc/understudy/id", KnownHostsFile: "/etc/understudy/known"}
	for _, c := range []struct {
		stderr, text, hint string
	}{
		{"@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@\n…\nHost key verification failed.\r\n",
			"ssh to 10.0.0.2: its host key is not the one in /etc/understudy/known", "ssh-keygen -R 10.0.0.2 -f /etc/understudy/known"},
		{"No ED25519 host key is known for 10.0.0.2 and you have requested strict checking.\r\nHost key verification failed.\r\n",
			"ssh to 10.0.0.2: its host key is not known", "add it to /etc/understudy/known"},
		{"root@10.0.0.2: Permission denied (publickey).\r\n",
			"ssh to 10.0.0.2: the key /etc/understudy/id is not accepted there", "authorized_keys"},
		{"ssh: connect to host 10.0.0.2 port 22: Connection refused\r\n", "ssh to 10.0.0.2: connection refused", "systemctl status ssh"},
		{"ssh: connect to host 10.0.0.2 port 22: Connection timed out\r\n", "ssh to 10.0.0.2: no answer", "ping 10.0.0.2"},
		{"ssh: connect to host 10.0.0.2 port 22: No route to host\r\n", "ssh to 10.0.0.2: no route", "ping 10.0.0.2"},
		{"ssh: Could not resolve hostname nas: Name or service not known\r\n", "ssh to 10.0.0.2: the name has no address", "nodes:"},
		{"bash: line 1: zfs-replicate: command not found\n", "ssh to 10.0.0.2: zfs-replicate is not on PATH there", "ssh.remote_command"},
		{"kex_exchange_identification: nonsense\r\n", "ssh to 10.0.0.2: kex_exchange_identification: nonsense", "try it by hand: ssh"},
	} {
		err := s.ExplainText(c.stderr, "zfs-replicate", &run.Error{Argv: []string{"ssh"}, ExitCode: 255, Stderr: c.stderr, Cause: errors.New("exit status 255")})
		var e *SSHError
		if !errors.As(err, &e) || e.Error() != c.text || !strings.Contains(e.Hint(), c.hint) {
			t.Errorf("%q\n is explained as %v\n want %s, with a hint like %q", c.stderr, err, c.text, c.hint)
		}
	}
	if err := s.ExplainText("zfs-replicate: error: something", "zfs-replicate", &run.Error{Argv: []string{"ssh"}, ExitCode: 1}); err != nil {
		t.Errorf("a failure of the remote program is taken for one of ssh: %v", err)
	}
}
