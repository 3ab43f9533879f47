package remote

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"al.essio.dev/pkg/shellescape"

	"github.com/understudy-ha/understudy/pkg/run"
)

// SSH is how another node is reached.
type SSH struct {
	User           string
	Host           string
	Port           int
	IdentityFile   string
	KnownHostsFile string
	ConnectTimeout time.Duration
	Options        []string // further -o values
}

// Argv is the ssh command line that runs remote on the other node. The words
// of remote are quoted for the shell there: this is the only place where that
// happens.
func (s SSH) Argv(remote ...string) []string {
	argv := []string{"ssh", "-T", "-x",
		"-o", "BatchMode=yes",
		"-o", "ConnectTimeout=" + strconv.Itoa(max(1, int(s.ConnectTimeout.Seconds()))),
		"-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3",
		// A master of the user's would keep the pipes open after the end.
		"-o", "ControlMaster=no", "-o", "ControlPath=none",
		"-o", "StrictHostKeyChecking=yes",
		"-o", "ForwardAgent=no",
	}
	if s.KnownHostsFile != "" {
		argv = append(argv, "-o", "UserKnownHostsFile="+s.KnownHostsFile)
	}
	if s.IdentityFile != "" {
		argv = append(argv, "-o", "IdentitiesOnly=yes", "-i", s.IdentityFile)
	}
	if s.Port != 0 {
		argv = append(argv, "-p", strconv.Itoa(s.Port))
	}
	for _, option := range s.Options {
		argv = append(argv, "-o", option)
	}
	host := s.Host
	if s.User != "" {
		host = s.User + "@" + host
	}
	argv = append(argv, "--", host)
	for _, word := range remote {
		argv = append(argv, shellescape.Quote(word))
	}
	return argv
}

// sshFailed is the exit code by which ssh reports its own failure.
const sshFailed = 255

// Unanswered reports whether ssh itself failed, or the deadline passed: nothing on the
// other node has answered.
func Unanswered(err error) bool {
	failed, ok := errors.AsType[*run.Error](err)
	return ok && (failed.ExitCode == sshFailed || failed.TimedOut)
}

// SSHError is a failure of ssh itself, before the remote program did its work.
type SSHError struct {
	Host  string
	What  string // one line
	hint  string
	Cause error
}

func (e *SSHError) Error() string { return fmt.Sprintf("ssh to %s: %s", e.Host, e.What) }
func (e *SSHError) Unwrap() error { return e.Cause }

// Hint says what to do about it.
func (e *SSHError) Hint() string { return e.hint }

// sshFailures are what OpenSSH prints, in the order in which they are
// tried, what it means, and what helps. %[1]s is the host, %[2]s the identity
// file, %[3]s the known-hosts file.
var sshFailures = []struct{ says, what, hint string }{
	{"REMOTE HOST IDENTIFICATION HAS CHANGED", "its host key is not the one in %[3]s",
		"if the other node was reinstalled, remove its old key with 'ssh-keygen -R %[1]s -f %[3]s' and add the new one; if it was not, somebody may be in between"},
	{"Host key verification failed", "its host key is not known",
		"compare it on that node's console, then add it to %[3]s ('ssh-keyscan %[1]s')"},
	{"Permission denied", "the key %[2]s is not accepted there",
		"put the public half into authorized_keys of the user there, and see that the key file is readable here and that sshd allows the login"},
	{"Could not resolve hostname", "the name has no address", "write the address under nodes: in the config, or fix /etc/hosts"},
	{"Connection refused", "connection refused", "see that sshd runs there ('systemctl status ssh') and listens on this port"},
	{"timed out", "no answer", "see that the node is up and its network reaches this node ('ping %[1]s')"},
	{"No route to host", "no route", "see that the node is up and its network reaches this node ('ping %[1]s')"},
	{"Network is unreachable", "network unreachable", "see that this node's network is up ('ip route get %[1]s')"},
	{"not accessible", "the identity file %[2]s can't be read", "make the key, or name the right one under ssh.identity_file"},
	{"command not found", "%[4]s is not on PATH there", "install understudy there, or set ssh.remote_command to the program's full path"},
	{"No such file or directory", "%[4]s is not there", "install understudy there, or set ssh.remote_command to the program's full path"},
	{"closed by remote host", "the connection was closed by the other side", "look at the log of sshd there ('journalctl -u ssh')"},
	{"Connection closed by", "the connection was closed before the login",
		"sshd keeps an address away for a while that connected too often without logging in (PerSourcePenalties): wait a minute; else look at its log there ('journalctl -u ssh')"},
	{"Connection reset", "the connection was reset", "look at the log of sshd there ('journalctl -u ssh')"},
}

// ExplainText turns what ssh printed into an *SSHError. stderr is what the ssh
// process printed, remote the program that it was to start. It returns nil
// when stderr holds none of ssh's own failures.
func (s SSH) ExplainText(stderr, remote string, cause error) error {
	known := s.KnownHostsFile
	if known == "" {
		known = "~/.ssh/known_hosts"
	}
	identity := s.IdentityFile
	if identity == "" {
		identity = "of this user"
	}
	fill := func(text string) string {
		for i, value := range []string{s.Host, identity, known, remote} {
			text = strings.ReplaceAll(text, fmt.Sprintf("%%[%d]s", i+1), value)
		}
		return text
	}
	for _, f := range sshFailures {
		if strings.Contains(stderr, f.says) {
			return &SSHError{Host: s.Host, What: fill(f.what), hint: fill(f.hint), Cause: cause}
		}
	}
	var e *run.Error
	if errors.As(cause, &e) && e.ExitCode == sshFailed {
		return &SSHError{Host: s.Host, What: strings.TrimSpace(e.LastLine()), hint: "try it by hand: " + strings.Join(s.Argv("true"), " "), Cause: cause}
	}
	return nil
}
