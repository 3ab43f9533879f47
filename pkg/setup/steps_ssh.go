package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/run"
)

// key returns the step that creates a node's key. The private half never leaves the
// node.
func (s *Setup) key(n *node) step {
	return step{
		name: "key on " + n.name,
		check: func(ctx context.Context) (stepState, error) {
			private, err := n.Read(ctx, n.identity())
			if err != nil {
				return stepState{}, err
			}
			public, err := n.publicKey(ctx)
			return stepState{done: private.Found && public != "", summary: n.identity(), detail: quoted(n.keygen())}, err
		},
		do: func(ctx context.Context) error {
			private, err := n.Read(ctx, n.identity())
			if err != nil {
				return err
			}
			if private.Found { // ssh-keygen was killed before it wrote the public half
				public, err := call(ctx, n, short, "ssh-keygen", "-y", "-P", "", "-f", n.identity())
				if err != nil {
					return err
				}
				return file{path: n.identity() + ".pub", text: strings.TrimSpace(public) + "\n", mode: 0o644}.write(ctx, n)
			}
			_, err = call(ctx, n, short, n.keygen()...)
			return err
		},
	}
}

func (n *node) keygen() []string {
	return []string{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "understudy " + n.name, "-f", n.identity()}
}

// identity and known return the paths of a node's key, and of its peers' host keys.
func (n *node) identity() string { return cmp.Or(n.cfg.SSH.IdentityFile, identityFile) }
func (n *node) known() string    { return cmp.Or(n.cfg.SSH.KnownHostsFile, knownHostsFile) }

// publicKey returns the public half, as TYPE KEY, or "" if there is none yet.
func (n *node) publicKey(ctx context.Context) (string, error) {
	public, err := n.Read(ctx, n.identity()+".pub")
	if fields := strings.Fields(public.Text); err == nil && len(fields) >= 2 {
		return fields[0] + " " + fields[1], nil
	}
	return "", err
}

// pinHostKey returns the step that pins other's host keys on n.
func (s *Setup) pinHostKey(n, other *node) step {
	return lines{
		name: "host key of " + other.name, node: n, path: n.known(), mode: 0o644,
		want: func(context.Context) ([]string, error) { return other.hostKeys, nil },
		// A host has one key of each type.
		same: func(there, wanted string) bool {
			a, b := strings.Fields(there), strings.Fields(wanted)
			return len(a) >= 3 && len(b) >= 3 && a[0] == b[0] && a[1] == b[1]
		},
	}.step()
}

// ownHostKeys returns the known_hosts lines of a machine with these keys.
func ownHostKeys(address string, port int, keys []string) []string {
	if port != sshPort {
		address = "[" + address + "]:" + strconv.Itoa(port)
	}
	var list []string
	for _, key := range keys {
		list = append(list, address+" "+key)
	}
	return list
}

// gateLine returns the authorized_keys line of a node, in the form of docs/setup.md.
func gateLine(from *node, key string) string {
	return fmt.Sprintf(`restrict,command="failover-notify gate",from="%s" %s understudy %s`, from.address, key, from.name)
}

// authorize returns the step that lets other's key call the gate on n.
func (s *Setup) authorize(n, other *node) step {
	home, owner := "/root", ""
	if s.user != "root" {
		home, owner = serviceHome, s.user
	}
	return lines{
		name: "ssh access for " + other.name, node: n, path: home + "/.ssh/authorized_keys", mode: 0o600, owner: owner,
		later: "restrict,command=\"failover-notify gate\",from=\"" + other.address + "\" and the key of " + other.name,
		want: func(ctx context.Context) ([]string, error) {
			key, err := other.publicKey(ctx)
			if err != nil || key == "" {
				return nil, err
			}
			return []string{gateLine(other, key)}, nil
		},
		// The same key with other options, or another key with the same options: the
		// key of a replaced server.
		same: func(there, wanted string) bool {
			rights, key, _ := strings.Cut(wanted, `" ssh-`)
			words := strings.Fields(key)
			return len(words) > 1 && strings.Contains(there, words[1]) || strings.HasPrefix(there, rights+`"`)
		},
	}.step()
}

// gate returns the step that calls other from n with n's own key, and checks that this
// key allows nothing else.
func (s *Setup) gate(n, other *node) step {
	how := remote.Over(n.cfg.SSH, other.self)
	how.User = s.user
	ask, refused := how.Argv("failover-notify", "peer", "-o", "json"), how.Argv("true")
	return step{
		name: n.name + " reaches " + other.name,
		check: func(ctx context.Context) (stepState, error) {
			f := stepState{checkOnly: true, summary: "with its own key, through the ssh gate", detail: quoted(ask)}
			if s.DryRun {
				_, err := call(ctx, n, short, ask...)
				f.done = err == nil
			}
			return f, nil
		},
		do: func(ctx context.Context) error {
			if _, err := call(ctx, n, short, ask...); err != nil {
				return fmt.Errorf("on %s: %w", n.name, how.Explain("failover-notify", err))
			}
			_, err := call(ctx, n, short, refused...)
			if failed, ok := errors.AsType[*run.Error](err); ok && failed.ExitCode == exit.Refused {
				return nil
			}
			return &OpenError{n.name, other.name}
		},
	}
}

// OpenError is a key that allows more than the gate does.
type OpenError struct{ From, To string }

func (e *OpenError) Error() string {
	return fmt.Sprintf("the key of %s may run any command on %s", e.From, e.To)
}

// Hint says what to do next.
func (e *OpenError) Hint() string {
	return "another line in authorized_keys on " + e.To + ", or sshd's configuration there, accepts this key without the forced command: remove it"
}
