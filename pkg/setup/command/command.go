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

// agent is the command that runs on the other machine.
const agent = "setup-node"

// configFlags holds the flags that determine the configuration.
var configFlags = []string{"name", "peer-name", "virtual-ip", "interface", "router-id", "dataset", "exclude", "services-directory",
	"project", "first", "container", "ping", "witness", "user", "port", "address"}

// New returns the command "setup".
func New(p *cli.Process) *cobra.Command {
	s := &setup.Setup{}
	fingerprint := ""
	c := &cobra.Command{
		Use:   "setup",
		Short: "Set up a pair: this node and another one",
		Long: `Set up a pair of this node and another one. Run it as root on the node that becomes
active first. Both need the same release of Understudy, ZFS with a pool, keepalived
and Docker. setup detects the settings that you do not give as flags, and asks for
them on a terminal.

It logs in to the other node by ssh as root, with your key, your agent or a
password. Then it creates a key for each node, which may run failover-notify gate
and nothing else.

Each step checks first whether it is done, so you can interrupt and repeat setup at
any point. setup never overwrites a file that you changed unless you agree or give
--replace; it saves a copy beside the file (.orig).`,
		Example: `  failover-notify setup --peer 192.168.86.48
  failover-notify setup --peer 192.168.86.48 --virtual-ip 192.168.86.100 \
    --dataset tank/apps --services-directory /srv/compose --dry-run -v
  failover-notify setup --yes                 # continue the setup begun here
  failover-notify setup --host-key SHA256:…   # the other node was replaced`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s.Answers.Given = given(c.Flags())
			return runSetup(c.Context(), p, s, fingerprint)
		},
	}
	addFlags(c.Flags(), s, &fingerprint)
	return c
}

func runSetup(ctx context.Context, p *cli.Process, s *setup.Setup, fingerprint string) error {
	if p.ConfigFile != "" {
		return cli.Usagef("--config: setup writes the configuration to its default path")
	}
	runner := run.New(p.Log)
	s.Here = machine.NewLocal(runner, cli.Version())
	s.Dialog.Out = p.Stdout
	if terminal(p.Stdin) {
		s.Dialog.In = bufio.NewReader(p.Stdin)
	}
	s.Open = opener(s, runner, fingerprint)
	return s.Run(ctx)
}

func addFlags(f *pflag.FlagSet, s *setup.Setup, fingerprint *string) {
	a := &s.Answers
	f.StringVar(&a.Peer, "peer", "", "`address` or name of the other node")
	f.IntVar(&a.Port, "port", 22, "`port` of sshd on both nodes")
	f.StringVar(fingerprint, "host-key", "", "`fingerprint` of the other node's host key, SHA256:…, if this node does not know it")
	f.StringVar(&a.Address, "address", "", "own `address` of this node (default the one that reaches the other)")
	f.StringVar(&a.Name, "name", "", "`name` of this node (default its host name)")
	f.StringVar(&a.PeerName, "peer-name", "", "`name` of the other node (default its host name)")
	f.StringVar(&a.VirtualIP, "virtual-ip", "", "`address` that the clients use, the virtual IP")
	f.StringVar(&a.Interface, "interface", "", "`interface` of the virtual IP (default that of the own address)")
	f.IntVar(&a.RouterID, "router-id", 0, "VRRP router `number` of the pair, unique in the network (default 51)")
	f.StringArrayVar(&a.Datasets, "dataset", nil, "`dataset` to replicate with all below it; repeatable (default every pool but the system's)")
	f.StringArrayVar(&a.Exclude, "exclude", nil, "`dataset` below these to exclude; repeatable")
	f.StringVar(&a.Directory, "services-directory", "", "`folder` of the Compose projects, on both nodes")
	f.StringArrayVar(&a.Projects, "project", nil, "`pattern` of Compose files in it; repeatable (default detected)")
	f.StringArrayVar(&a.First, "first", nil, "`project` to start before all others; repeatable (default Traefik's)")
	f.StringVar(&a.Container, "container", "", "`container` that must serve (default Traefik's)")
	f.StringVar(&a.Ping, "ping", "", "`URL` of its ping (default detected)")
	f.StringArrayVar(&a.Witnesses, "witness", nil, "`URL` of a witness that always answers; repeatable (default the router: ping://ADDRESS)")
	f.StringVar(&a.User, "user", "", "`user` that the nodes log in as, created with ZFS permissions (default root)")
	f.BoolVarP(&s.Yes, "yes", "y", false, "accept all detected values, and start; ask only about an unknown host key")
	f.BoolVar(&s.Replace, "replace", false, "replace content that differs; save a copy beside it (.orig)")
	f.BoolVarP(&s.DryRun, "dry-run", "n", false, "show the steps; change nothing on either node")
	f.BoolVarP(&s.Dialog.Verbose, "verbose", "v", false, "show the files and commands of each step")
	f.BoolVar(&s.NoStart, "no-start", false, "start nothing, and show how to")
}

// given reports whether a flag was given that determines the configuration.
func given(flags *pflag.FlagSet) bool {
	for _, name := range configFlags {
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

// opener returns a function that logs in to the other machine.
func opener(s *setup.Setup, runner run.Programs, fingerprint string) func(context.Context, string, int) (machine.Machine, []string, func() error, error) {
	return func(ctx context.Context, address string, port int) (machine.Machine, []string, func() error, error) {
		contact := machine.Contact{Address: address, Port: port, Program: []string{"failover-notify", agent}, Ask: s.Dialog.In != nil,
			Known: []string{"/etc/understudy/known_hosts"}, Fingerprint: fingerprint, Runner: runner}
		if home, err := os.UserHomeDir(); err == nil {
			contact.Known = append(contact.Known, filepath.Join(home, ".ssh", "known_hosts"))
		}
		if s.Dialog.In != nil {
			contact.Confirm = func(prints []string) (bool, error) {
				return s.Dialog.Confirm("Host key of " + address + ":\n  " + strings.Join(prints, "\n  ") +
					"\nCompare it on the console of that machine:\n  ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\nIs it the same?")
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

// NewNode returns the command that a setup runs on the other machine.
func NewNode(p *cli.Process) *cobra.Command {
	return &cobra.Command{
		Use:    agent,
		Short:  "Serve the requests of a setup on the other node, on stdin",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return machine.Serve(c.Context(), machine.NewLocal(run.New(p.Log), cli.Version()), p.Stdin, p.Stdout)
		},
	}
}
