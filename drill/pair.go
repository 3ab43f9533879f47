package drill

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/replicate"
)

// Pool is the name of the pool on every node of a pair.
const Pool = "tank"

// module is the Go module that the programs are built from.
const module = "github.com/understudy-ha/understudy"

// Kind returns the kind of the nodes by the environment variable LAB: ns by
// default, or vm.
func Kind() lab.Kind { return lab.Kind(cmp.Or(os.Getenv("LAB"), string(lab.NS))) }

// Options describe the pair to make.
type Options struct {
	Kind     lab.Kind
	Nodes    []string // a and b when empty; the first one is the sender
	Programs Programs
	PoolSize int64 // bytes of each node's pool; 512 MiB when 0
	// StandbyPoolSize is the size on all nodes but the first; PoolSize when 0.
	StandbyPoolSize int64
	// Configure changes the config that all nodes get; it may be nil.
	Configure func(Config)
	Log       io.Writer // gets the lab's progress; nil drops it
}

// Pair is a running lab whose nodes have the programs, the configuration and an
// empty pool.
type Pair struct {
	Lab  *lab.Lab
	A, B lab.Node // the first two nodes
}

// Up makes a pair. On error nothing is left.
func Up(ctx context.Context, o Options) (_ *Pair, err error) {
	l, err := lab.Up(ctx, lab.Options{Kind: o.Kind, Nodes: o.Nodes, HubProgram: o.Programs.Hub, Simulator: o.Programs.Simulator, Log: o.Log})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Down())
		}
	}()
	p := &Pair{Lab: l, A: l.Nodes[0], B: l.Nodes[1]}
	if err := l.Install(ctx, o.Programs.Replicate); err != nil {
		return nil, fmt.Errorf("install zfs-replicate: %w", err)
	}
	if err := p.Configure(ctx, o.Configure); err != nil {
		return nil, err
	}
	size := cmp.Or(o.PoolSize, 512<<20)
	for i, n := range l.Nodes {
		if i == 1 {
			size = cmp.Or(o.StandbyPoolSize, size)
		}
		if err := lab.MakePool(ctx, n, Pool, size); err != nil {
			return nil, fmt.Errorf("node %s: %w", n.Name(), err)
		}
	}
	return p, nil
}

// Down removes the pair with its contents.
func (p *Pair) Down() error { return p.Lab.Down() }

// Configure writes a fresh config, with the changes, to all nodes.
func (p *Pair) Configure(ctx context.Context, change func(Config)) error {
	for _, n := range p.Lab.Nodes {
		if err := p.ConfigureNode(ctx, n, change); err != nil {
			return err
		}
	}
	return nil
}

// ConfigureNode writes a fresh config, with the changes, to one node.
func (p *Pair) ConfigureNode(ctx context.Context, n lab.Node, change func(Config)) error {
	c := newConfig(p.Lab.Nodes)
	if change != nil {
		change(c)
	}
	text, err := c.encode()
	if err != nil {
		return err
	}
	return WriteFile(ctx, n, "/etc/understudy/config.yaml", text)
}

// Outcome is the end of a run of zfs-replicate.
type Outcome struct {
	Code   int
	Stderr string        // what it said there, trimmed
	Took   time.Duration // with the time to reach the node
	// Result is the reported result; nil when the run ended before it began.
	Result *replicate.Result
}

// Replicate runs "zfs-replicate run" on a node. An exit code other than 0 is no
// error.
func Replicate(ctx context.Context, n lab.Node, args ...string) (Outcome, error) {
	argv := append([]string{"zfs-replicate", "run", "-o", "json"}, args...)
	result, err := n.Run(ctx, lab.Argv(argv...))
	var exit *lab.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Outcome{}, err
	}
	return outcome(result.Code, result.Stdout, result.Stderr, result.Took)
}

func outcome(code int, stdout, stderr string, took time.Duration) (Outcome, error) {
	o := Outcome{Code: code, Stderr: strings.TrimSpace(stderr), Took: took}
	if strings.TrimSpace(stdout) == "" {
		return o, nil
	}
	o.Result = &replicate.Result{}
	if err := json.Unmarshal([]byte(stdout), o.Result); err != nil {
		return o, fmt.Errorf("read the result of zfs-replicate: %w:\n%s", err, stdout)
	}
	return o, nil
}

// Bytes returns the bytes sent to all standbys.
func (o Outcome) Bytes() int64 {
	var n int64
	if o.Result != nil {
		for _, standby := range o.Result.Standbys {
			n += standby.Bytes
		}
	}
	return n
}

// Item returns the result for a dataset on the first standby that has it; nil
// when the run did not reach it.
func (o Outcome) Item(source string) *replicate.ItemResult {
	if o.Result != nil {
		for _, standby := range o.Result.Standbys {
			for _, item := range standby.Items {
				if item.Source == source {
					return item
				}
			}
		}
	}
	return nil
}

// Run runs a program on a node and returns its output without the last newline.
func Run(ctx context.Context, n lab.Node, argv ...string) (string, error) {
	result, err := n.Run(ctx, lab.Argv(argv...))
	return strings.TrimRight(result.Stdout, "\n"), err
}

// Shell runs a fixed script on a node, with args as its $1, $2, …
func Shell(ctx context.Context, n lab.Node, script string, args ...string) (string, error) {
	text, err := Run(ctx, n, append([]string{"bash", "-euo", "pipefail", "-c", script, "drill"}, args...)...)
	if exit, ok := errors.AsType[*lab.ExitError](err); ok {
		// The caller knows which script it was.
		return text, fmt.Errorf("on node %s: exit code %d: %s", n.Name(), exit.Code, strings.TrimSpace(exit.Stderr))
	}
	return text, err
}

// WriteFile replaces a small file on a node, completely or not at all.
func WriteFile(ctx context.Context, n lab.Node, path, text string) error {
	_, err := n.Run(ctx, lab.Command{
		Argv:  []string{"bash", "-euc", `mkdir -p "$(dirname "$1")"; cat >"$1.new"; sync "$1.new"; mv "$1.new" "$1"; sync "$(dirname "$1")"`, "drill", path},
		Stdin: strings.NewReader(text),
	})
	if err != nil {
		return fmt.Errorf("write %s on %s: %w", path, n.Name(), err)
	}
	return nil
}
