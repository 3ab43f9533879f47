package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cleanupTime limits the cleanup of a hub; then the kernel does the rest.
const cleanupTime = 20 * time.Second

// Main is the hub process: it serves the lab of that run folder until it is
// told to stop or, if owned, until its standard input ends.
func Main(runDir string) error {
	spec, err := ReadSpec(runDir)
	if err != nil {
		return fmt.Errorf("start the hub: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if spec.Owned {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	h, err := newServer(ctx, spec, cancel)
	if err == nil {
		err = h.serve(ctx)
	}
	cleaned := make(chan struct{})
	go func() {
		defer close(cleaned)
		h.close()
	}()
	select {
	case <-cleaned:
		return err
	case <-time.After(cleanupTime):
		return errors.Join(err, fmt.Errorf("clean up after lab %s: not done after %s", spec.Name, cleanupTime))
	}
}

// server answers the requests of the lab.
type server struct {
	spec     Spec
	network  *network
	machines map[string]*machine
	shutdown context.CancelFunc
	image    *os.File
	ns       *ns

	mu sync.Mutex // guards network
}

// newServer makes everything up to the first start of the nodes. Its result
// must be closed even on error.
func newServer(ctx context.Context, spec Spec, shutdown context.CancelFunc) (*server, error) {
	h := &server{spec: spec, machines: map[string]*machine{}, shutdown: shutdown}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return h, fmt.Errorf("make the hub's mounts private: %w", err)
	}
	// /proc must show the hub's own process namespace.
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return h, fmt.Errorf("mount the hub's /proc: %w", err)
	}
	var err error
	if h.image, err = os.Open(spec.ImageDir); err != nil {
		return h, fmt.Errorf("open the node image: %w", err)
	}
	if err := unix.Flock(int(h.image.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return h, fmt.Errorf("use the node image %s: %w", spec.ImageDir, err)
	}
	if h.network, err = newNetwork(ctx, spec.Rootfs); err != nil {
		return h, err
	}
	var kind driver
	switch spec.Kind {
	case VM:
		kind = &vm{spec: spec, network: h.network}
	case NS:
		h.ns = &ns{
			spec: spec, network: h.network,
			memory:  filepath.Join(spec.RunDir, "memory"),
			cgroups: filepath.Join(spec.RunDir, "cgroups"),
		}
		if err := h.ns.mount(); err != nil {
			return h, err
		}
		kind = h.ns
	default:
		return h, fmt.Errorf("lab %s: kind %q: want %s or %s", spec.Name, spec.Kind, NS, VM)
	}
	for _, node := range spec.Nodes {
		if err := kind.prepare(ctx, node); err != nil {
			return h, err
		}
		h.machines[node.Name] = &machine{spec: node, kind: kind}
	}
	return h, nil
}

func (h *server) serve(ctx context.Context) error {
	listener, err := net.Listen("unix", h.spec.Socket())
	if err != nil {
		return fmt.Errorf("serve lab %s: %w", h.spec.Name, err)
	}
	defer listener.Close()
	rpcServer := rpc.NewServer()
	if err := rpcServer.RegisterName("Hub", &service{h}); err != nil {
		return fmt.Errorf("serve lab %s: %w", h.spec.Name, err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go rpcServer.ServeConn(conn)
		}
	}()
	<-ctx.Done()
	return nil
}

// close ends the nodes and removes the files of the lab.
func (h *server) close() {
	var wait sync.WaitGroup
	for _, m := range h.machines {
		wait.Go(func() {
			if err := m.kill(context.Background()); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		})
	}
	wait.Wait()
	if h.ns != nil {
		labs := filepath.Join(h.ns.cgroups, "understudy-lab")
		removeCgroups(filepath.Join(labs, h.spec.Name))
		// Fails while other labs exist.
		_ = unix.Rmdir(labs)
		_ = unix.Unmount(h.ns.cgroups, unix.MNT_DETACH)
		_ = unix.Unmount(h.ns.memory, unix.MNT_DETACH)
	}
	if err := errors.Join(os.RemoveAll(h.spec.DiskDir), os.RemoveAll(h.spec.RunDir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// service holds the methods that net/rpc serves.
type service struct{ h *server }

// NodeArgs are the arguments of every request about one node.
type NodeArgs struct {
	Node      string
	Direction Direction     // of Cut
	Timeout   time.Duration // of WaitOff
}

// None is an empty answer or argument.
type None struct{}

func (s *service) with(node string, do func(*machine) error) error {
	m, known := s.h.machines[node]
	if !known {
		return fmt.Errorf("lab %s has no node %q", s.h.spec.Name, node)
	}
	return do(m)
}

func (s *service) Start(args NodeArgs, _ *None) error {
	return s.with(args.Node, func(m *machine) error {
		return m.start(context.Background(), s.h.spec.Console(args.Node))
	})
}

func (s *service) Kill(args NodeArgs, _ *None) error {
	return s.with(args.Node, func(m *machine) error { return m.kill(context.Background()) })
}

func (s *service) WaitOff(args NodeArgs, _ *None) error {
	return s.with(args.Node, func(m *machine) error { return m.waitOff(context.Background(), args.Timeout) })
}

func (s *service) Freeze(args NodeArgs, _ *None) error {
	return s.with(args.Node, func(m *machine) error { return m.setFrozen(true) })
}

func (s *service) Thaw(args NodeArgs, _ *None) error {
	return s.with(args.Node, func(m *machine) error { return m.setFrozen(false) })
}

func (s *service) Cut(args NodeArgs, _ *None) error {
	return s.with(args.Node, func(*machine) error {
		s.h.mu.Lock()
		defer s.h.mu.Unlock()
		return s.h.network.cut(context.Background(), args.Node, args.Direction)
	})
}

func (s *service) Restore(args NodeArgs, _ *None) error {
	return s.with(args.Node, func(*machine) error {
		s.h.mu.Lock()
		defer s.h.mu.Unlock()
		return s.h.network.restore(context.Background(), args.Node)
	})
}

// Status returns the state of each node.
func (s *service) Status(_ None, states *map[string]State) error {
	for name, m := range s.h.machines {
		(*states)[name] = m.state()
	}
	return nil
}

// Shutdown ends the hub; the end of the connection confirms it.
func (s *service) Shutdown(None, *None) error {
	s.h.shutdown()
	return nil
}
