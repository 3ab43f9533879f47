package command

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/setup"
	"github.com/understudy-ha/understudy/pkg/setup/machine"
)

// far is the command that is started on the other machine.
const far = "setup-node"

// asking are the flags that choose what the configuration says.
var asking = []string{"name", "peer-name", "virtual-ip", "interface", "router-id", "dataset", "exclude", "services-directory",
	"project", "first", "container", "ping", "witness", "user", "port", "address"}

// New returns the command "setup".
func New(p *cli.Process) *cobra.Command {
	s := &setup.Setup{}
	fingerprint := ""
	c := &cobra.Command{
		Use:   "setup",
		Short: "Make a pair of this node and another one, from the first contact to a failover that works",
		Long: `Make a pair of this node and another one. Run it as root on the node that is to be
active first; the same release of Understudy, ZFS with a pool, keepalived and
Docker have to be on both. What is not given as a flag is looked for, and asked
for on a terminal.

The other node is reached by ssh as root, as you reach it: by your key, your
agent or its password. Both get a key of their own then, which may call
failover-notify gate and nothing else.

Each step looks first whether it is done, so that all of it can be repeated, and
goes on where an earlier one was ended. Nothing that is there and differs is
replaced without your consent or --replace; a copy stays beside it (.orig).`,
		Example: `  failover-notify setup --peer 192.168.86.48
  failover-notify setup --peer 192.168.86.48 --virtual-ip 192.168.86.100 \
    --dataset tank/apps --services-directory /srv/compose --dry-run -v
  failover-notify setup --yes                 # go on with what was begun here
  failover-notify setup --host-key SHA256:…   # the other one was replaced`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if p.ConfigFile != "" {
				return cli.Usagef("--config: a set-up writes the configuration to its usual place")
			}
			s.Answers.Given = given(c.Flags())
			runner := run.New(p.Log)
			s.Here = machine.NewLocal(runner, cli.Version())
			s.Talk.Out = p.Stdout
			if terminal(p.Stdin) {
				s.Talk.In = bufio.NewReader(p.Stdin)
			}
			s.Open = opener(s, runner, fingerprint)
			return s.Run(c.Context())
		},
	}
	f := c.Flags()
	a := &s.Answers
	f.StringVar(&a.Peer, "peer", "", "`address` or name of the other node")
	f.IntVar(&a.Port, "port", 22, "`port` of sshd on both nodes")
	f.StringVar(&fingerprint, "host-key", "", "`fingerprint` of the other node's host key, SHA256:…, where it is not known here yet")
	f.StringVar(&a.Address, "address", "", "own `address` of this node (default the one that leads to the other)")
	f.StringVar(&a.Name, "name", "", "`name` of this node (default its host name)")
	f.StringVar(&a.PeerName, "peer-name", "", "`name` of the other node (default its host name)")
	f.StringVar(&a.VirtualIP, "virtual-ip", "", "floating `address` that the clients use")
	f.StringVar(&a.Interface, "interface", "", "`interface` that gets it (default the one with the own address)")
	f.IntVar(&a.RouterID, "router-id", 0, "VRRP's `number` of the pair, unique in the network (default 51)")
	f.StringArrayVar(&a.Datasets, "dataset", nil, "`dataset` to replicate with all below it; can be repeated (default every pool but the system's)")
	f.StringArrayVar(&a.Exclude, "exclude", nil, "`dataset` below one of them to leave out; can be repeated")
	f.StringVar(&a.Directory, "services-directory", "", "`folder` in which the Compose projects lie, on both nodes")
	f.StringArrayVar(&a.Projects, "project", nil, "`pattern` of Compose files in it; can be repeated (default what is found)")
	f.StringArrayVar(&a.First, "first", nil, "`project` to start before all others; can be repeated (default Traefik's)")
	f.StringVar(&a.Container, "container", "", "`container` that has to serve (default Traefik's)")
	f.StringVar(&a.Ping, "ping", "", "`URL` at which it answers (default what its project says)")
	f.StringArrayVar(&a.Witnesses, "witness", nil, "what always answers in this network, as a `URL`; can be repeated (default the router: ping://ADDRESS)")
	f.StringVar(&a.User, "user", "", "`user` that the nodes log in as; made, with ZFS permissions (default root)")
	f.BoolVarP(&s.Yes, "yes", "y", false, "ask nothing but whether a host key is right: take what was found, and start")
	f.BoolVar(&s.Replace, "replace", false, "replace what is there and differs; a copy stays beside it (.orig)")
	f.BoolVarP(&s.DryRun, "dry-run", "n", false, "show the steps; change nothing on either node")
	f.BoolVarP(&s.Talk.Verbose, "verbose", "v", false, "show each step's files and commands, too")
	f.BoolVar(&s.NoStart, "no-start", false, "leave starting to you, and say how")
	return c
}

// given reports whether a flag was given that the configuration follows from.
func given(flags *pflag.FlagSet) bool {
	for _, name := range asking {
		if flags.Changed(name) {
			return true
		}
	}
	return false
}

func terminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// opener makes the first contact.
func opener(s *setup.Setup, runner run.Programs, fingerprint string) func(context.Context, string, int) (machine.Machine, []string, func() error, error) {
	return func(ctx context.Context, address string, port int) (machine.Machine, []string, func() error, error) {
		contact := machine.Contact{Address: address, Port: port, Program: []string{"failover-notify", far}, Ask: s.Talk.In != nil,
			Known: []string{"/etc/understudy/known_hosts"}, Fingerprint: fingerprint, Runner: runner}
		if home, err := os.UserHomeDir(); err == nil {
			contact.Known = append(contact.Known, filepath.Join(home, ".ssh", "known_hosts"))
		}
		if s.Talk.In != nil {
			contact.Confirm = func(prints []string) (bool, error) {
				return s.Talk.Confirm("This is what " + address + " says of itself:\n  " + strings.Join(prints, "\n  ") +
					"\nCompare it on its console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\nIs it the same?")
			}
		}
		keys, err := contact.HostKeys(ctx)
		if err != nil {
			return nil, nil, nil, err
		}
		remote, err := contact.Open(ctx, keys)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("log in to %s as root: %w", address, err)
		}
		return remote, keys, remote.Close, nil
	}
}

// NewNode returns the command that a set-up starts on the other machine.
func NewNode(p *cli.Process) *cobra.Command {
	return &cobra.Command{
		Use:    far,
		Short:  "Do what a set-up on the other node asks for, on stdin",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return machine.Serve(c.Context(), machine.NewLocal(run.New(p.Log), cli.Version()), p.Stdin, p.Stdout)
		},
	}
}
