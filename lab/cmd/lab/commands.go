package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/lab/image"
	"github.com/understudy-ha/understudy/lab/internal/hub"
)

// remoteExit is a remote program's exit code, which becomes the exit code of
// this program.
type remoteExit int

func (remoteExit) Error() string { return "" }

func exitCode(err error) int {
	var remote remoteExit
	if errors.As(err, &remote) {
		return int(remote)
	}
	return 1
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "lab",
		Short:         "Two nodes in a network of their own, to be looked at and broken",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	name := root.PersistentFlags().String("name", "hand", "the lab's name; several can be up at once")
	root.AddCommand(newUp(name), newSSH(name), newDown(name), newStatus(), newImage(), newNode(name), newHub(), newNSInit())
	return root
}

func newUp(name *string) *cobra.Command {
	kind := cmp.Or(os.Getenv("LAB"), string(lab.NS))
	nodes := []string{"a", "b"}
	var simulator string
	systemd := false
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a lab that stays until lab down",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return err
			}
			began := time.Now()
			l, err := lab.Up(cmd.Context(), lab.Options{
				Kind: lab.Kind(kind), Nodes: nodes, Name: *name, Systemd: systemd,
				Detached: true, HubProgram: program, Simulator: simulator, Log: cmd.ErrOrStderr(),
			})
			if err != nil {
				return err
			}
			defer l.Close()
			for _, n := range l.Nodes {
				fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\t%s\n", n.Name(), n.Kind(), n.Address())
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "lab %s: up in %.1f s\n", *name, time.Since(began).Seconds())
			return nil
		},
	}
	cmd.Flags().StringVar(&kind, "kind", kind, "ns: namespaces, ZFS simulated; vm: virtual machines, all real (default also from $LAB)")
	cmd.Flags().StringSliceVar(&nodes, "nodes", nodes, "names of the nodes, at most three")
	cmd.Flags().BoolVar(&systemd, "systemd", false, "start nodes with systemd, bare as servers after their installation")
	cmd.Flags().StringVar(&simulator, "simulator", "", "a built lab/zfssim for ns nodes; built when empty")
	return cmd
}

func newSSH(name *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ssh NODE [COMMAND…]",
		Short: "Open a shell on a node, or run a command there",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := lab.Attach(cmd.Context(), *name)
			if err != nil {
				return err
			}
			defer l.Close()
			client, err := l.SSH(cmd.Context(), args[0], args[1:]...)
			if err != nil {
				return err
			}
			client.Stdin, client.Stdout, client.Stderr = os.Stdin, os.Stdout, os.Stderr
			var exit *exec.ExitError
			if err := client.Run(); errors.As(err, &exit) && exit.ExitCode() > 0 {
				return remoteExit(exit.ExitCode())
			} else if err != nil {
				return fmt.Errorf("ssh to node %s: %w", args[0], err)
			}
			return nil
		},
	}
	// Arguments after the node's name belong to the command, options too.
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func newDown(name *string) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End a lab and remove everything of it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return lab.Remove(cmd.Context(), *name)
		},
	}
}

func newStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show all labs and their nodes",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			runs, err := filepath.Glob(filepath.Join(lab.RunRoot, "*", "pid"))
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(table, "LAB\tKIND\tNODE\tADDRESS\tSTATE")
			for _, run := range runs {
				showLab(cmd.Context(), table, filepath.Base(filepath.Dir(run)))
			}
			return table.Flush()
		},
	}
}

func showLab(ctx context.Context, table *tabwriter.Writer, name string) {
	l, err := lab.Attach(ctx, name)
	if err != nil {
		fmt.Fprintf(table, "%s\t-\t-\t-\t%v\n", name, err)
		return
	}
	defer l.Close()
	states, err := l.States(ctx)
	if err != nil {
		fmt.Fprintf(table, "%s\t%s\t-\t-\t%v\n", name, l.Kind(), err)
		return
	}
	for _, n := range l.Nodes {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", name, l.Kind(), n.Name(), n.Address(), states[n.Name()])
	}
}

func newImage() *cobra.Command {
	return &cobra.Command{
		Use:       "image [base|full]",
		Short:     "Make the node image when it is not in the cache, and print where it is",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{string(image.Base), string(image.Full)},
		RunE: func(cmd *cobra.Command, args []string) error {
			stage := image.Base
			if len(args) == 1 {
				stage = image.Stage(args[0])
			}
			img, err := image.Ensure(cmd.Context(), stage, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), img.Dir)
			return nil
		},
	}
}

// newNode offers the faults of the drills as commands.
func newNode(name *string) *cobra.Command {
	actions := map[string]func(context.Context, lab.Node) error{
		"start":   func(ctx context.Context, n lab.Node) error { return n.Start(ctx) },
		"stop":    func(ctx context.Context, n lab.Node) error { return n.Stop(ctx) },
		"pull":    func(ctx context.Context, n lab.Node) error { return n.PullPlug(ctx) },
		"freeze":  func(ctx context.Context, n lab.Node) error { return n.Freeze(ctx) },
		"thaw":    func(ctx context.Context, n lab.Node) error { return n.Thaw(ctx) },
		"cut":     func(ctx context.Context, n lab.Node) error { return n.CutNetwork(ctx, lab.Both) },
		"cut-in":  func(ctx context.Context, n lab.Node) error { return n.CutNetwork(ctx, lab.In) },
		"cut-out": func(ctx context.Context, n lab.Node) error { return n.CutNetwork(ctx, lab.Out) },
		"restore": func(ctx context.Context, n lab.Node) error { return n.RestoreNetwork(ctx) },
	}
	return &cobra.Command{
		Use:   "node NODE start|stop|pull|freeze|thaw|cut|cut-in|cut-out|restore",
		Short: "Do to a node what drills do: pull its plug, cut its network, …",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			do, known := actions[args[1]]
			if !known {
				return fmt.Errorf("%q is nothing that can be done to a node; see lab node --help", args[1])
			}
			l, err := lab.Attach(cmd.Context(), *name)
			if err != nil {
				return err
			}
			defer l.Close()
			n, err := l.Node(args[0])
			if err != nil {
				return err
			}
			return do(cmd.Context(), n)
		},
	}
}

// newHub is the process that lab.Up runs in a lab's own namespaces.
func newHub() *cobra.Command {
	return &cobra.Command{
		Use:    lab.HubCommand + " RUN-FOLDER",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if syscall.Getpid() != 1 {
				return errors.New("this command is for the lab's own use")
			}
			return hub.Main(args[0])
		},
	}
}

// newNSInit becomes the first process of a namespace node.
func newNSInit() *cobra.Command {
	return &cobra.Command{
		Use:    hub.NSInitCommand,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if syscall.Getpid() != 1 {
				return errors.New("this command is for the lab's own use")
			}
			return hub.NSInit()
		},
	}
}
