package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/lab/image"
	"github.com/understudy-ha/understudy/lab/internal/hub"
)

// RunRoot holds a folder per running lab: description, sockets, logs, keys.
const RunRoot = "/run/understudy-lab"

// maxNodes is the limit of the lab's address plan.
const maxNodes = 3

// Options describe the lab to make.
type Options struct {
	// Kind of the nodes; NS when empty.
	Kind Kind
	// Nodes are their names; a and b when empty. The first one's address is
	// 10.77.0.11, the next one's 10.77.0.12, …
	Nodes []string
	// Name is unique among the running labs of this machine. When empty, a name
	// is generated.
	Name string
	// Systemd starts the nodes with systemd, as servers do. They get nothing
	// but addresses, host keys and a login for the lab: they know neither each
	// other nor services of the lab (SetService). Under emulation a boot takes
	// minutes.
	Systemd bool
	// Detached labs outlive the process that made them; Down of an attached Lab
	// ends them.
	Detached bool
	// HubProgram is a built lab/cmd/lab. When empty, it is built, which needs a
	// working directory in this module.
	HubProgram string
	// Simulator is a built lab/zfssim for nodes of kind NS. When empty, it is
	// built likewise.
	Simulator string
	// Log gets progress; nil drops it.
	Log io.Writer
}

// Lab is a running lab.
type Lab struct {
	// Nodes are in the order of Options.Nodes.
	Nodes []Node

	spec     hub.Spec
	hub      *hub.Client
	hubPID   int
	process  *exec.Cmd // nil for a lab that was attached to
	exited   chan struct{}
	lifeline io.Closer
	// namespace is the lab's network.
	namespace *os.File
}

// Up makes a lab and starts its nodes at the same time. On error nothing is
// left. A missing image is made first, which may take minutes.
func Up(ctx context.Context, o Options) (_ *Lab, err error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	spec, err := plan(o)
	if err != nil {
		return nil, err
	}
	if err := checkHost(spec.Kind); err != nil {
		return nil, err
	}
	img, err := chooseImage(ctx, spec.Kind, o.Log)
	if err != nil {
		return nil, err
	}
	spec.ImageDir, spec.Rootfs = img.Dir, img.Rootfs()
	spec.Kernel, spec.Initrd, spec.Disk = img.Kernel(), img.Initrd(), img.Disk()
	if spec.Kind == VM {
		if spec.KVM, err = kvmWorks(ctx, img); err != nil {
			return nil, err
		}
	}
	removeStale(o.Log)
	if err := claim(spec); err != nil {
		return nil, err
	}
	l := &Lab{spec: spec}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Down())
		}
	}()
	if err := l.writeFiles(ctx, o.Simulator); err != nil {
		return nil, err
	}
	if err := l.startHub(ctx, o.HubProgram); err != nil {
		return nil, err
	}
	for _, node := range spec.Nodes {
		l.Nodes = append(l.Nodes, &machine{spec: node, lab: l})
	}
	return l, l.each(func(n Node) error { return n.Start(ctx) })
}

// plan checks the options and assigns names, folders and addresses.
func plan(o Options) (hub.Spec, error) {
	if o.Kind == "" {
		o.Kind = NS
	}
	if o.Kind != NS && o.Kind != VM {
		return hub.Spec{}, fmt.Errorf("lab kind %q: want %s or %s", o.Kind, NS, VM)
	}
	if len(o.Nodes) == 0 {
		o.Nodes = []string{"a", "b"}
	}
	if len(o.Nodes) > maxNodes {
		return hub.Spec{}, fmt.Errorf("a lab of %d nodes: at most %d", len(o.Nodes), maxNodes)
	}
	if o.Name == "" {
		o.Name = fmt.Sprintf("t%d-%d", os.Getpid(), time.Now().UnixMilli()%1_000_000)
	}
	if err := checkName(o.Name); err != nil {
		return hub.Spec{}, err
	}
	spec := hub.Spec{
		Name: o.Name, Kind: o.Kind, Systemd: o.Systemd, Owned: !o.Detached,
		RunDir:  filepath.Join(RunRoot, o.Name),
		DiskDir: diskDir(o.Name),
	}
	// Names become parts of interface names, which have at most 15 characters.
	valid := regexp.MustCompile(`^[a-z][a-z0-9]{0,9}$`)
	seen := map[string]bool{}
	for i, name := range o.Nodes {
		if !valid.MatchString(name) || seen[name] || name == "lab" {
			return hub.Spec{}, fmt.Errorf("node name %q: want different ones of up to ten small letters and digits", name)
		}
		seen[name] = true
		spec.Nodes = append(spec.Nodes, hub.NodeSpec{
			Name: name, Index: i,
			Address:    fmt.Sprintf("10.77.0.%d/24", 11+i),
			Management: fmt.Sprintf("10.78.0.%d/24", 11+i),
			Seed:       filepath.Join(spec.RunDir, "seed-"+name+".tar"),
		})
	}
	return spec, nil
}

func checkName(name string) error {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`).MatchString(name) {
		return fmt.Errorf("lab name %q: want up to 32 small letters, digits and dashes", name)
	}
	return nil
}

// chooseImage uses an existing full image, which serves both kinds, and makes
// no more than the kind needs.
func chooseImage(ctx context.Context, kind Kind, log io.Writer) (image.Image, error) {
	img, found, err := image.Find(image.Full)
	if err != nil || found {
		return img, err
	}
	if kind == VM {
		return image.Ensure(ctx, image.Full, log)
	}
	return image.Ensure(ctx, image.Base, log)
}

// writeFiles makes the files that the nodes get at boot.
func (l *Lab) writeFiles(ctx context.Context, simulator string) error {
	k, err := makeKeys(ctx, l.spec)
	if err != nil {
		return err
	}
	var extra []seedFile
	if l.spec.Kind == NS {
		if extra, err = simulated(ctx, l.spec.RunDir, simulator); err != nil {
			return err
		}
	}
	for _, node := range l.spec.Nodes {
		if err := writeSeed(l.spec, node, k, extra); err != nil {
			return err
		}
	}
	return l.spec.Write()
}

// Node returns the node of that name.
func (l *Lab) Node(name string) (Node, error) {
	for _, n := range l.Nodes {
		if n.Name() == name {
			return n, nil
		}
	}
	return nil, fmt.Errorf("lab %s has no node %q", l.spec.Name, name)
}

// Name returns the name of the lab, by which others can attach to it.
func (l *Lab) Name() string { return l.spec.Name }

// Kind returns the kind of its nodes.
func (l *Lab) Kind() Kind { return l.spec.Kind }

// States returns the states of the nodes by name.
func (l *Lab) States(ctx context.Context) (map[string]State, error) { return l.hub.Status(ctx) }

// each calls do for all nodes at the same time.
func (l *Lab) each(do func(Node) error) error {
	failures := make([]error, len(l.Nodes))
	var wait sync.WaitGroup
	for i, n := range l.Nodes {
		wait.Go(func() { failures[i] = do(n) })
	}
	wait.Wait()
	return errors.Join(failures...)
}

// Close ends the connection to an attached or detached lab; the lab keeps
// running.
func (l *Lab) Close() error {
	for _, n := range l.Nodes {
		if m, ok := n.(*machine); ok {
			m.closeMaster()
		}
	}
	return errors.Join(l.hub.Close(), l.namespace.Close())
}

// Down cuts the power of all nodes and removes the lab. It may be called more
// than once.
func (l *Lab) Down() error {
	for _, n := range l.Nodes {
		if m, ok := n.(*machine); ok {
			m.closeMaster()
		}
	}
	err := l.endHub()
	if l.namespace != nil {
		l.namespace.Close()
	}
	if removed := errors.Join(os.RemoveAll(l.spec.RunDir), os.RemoveAll(l.spec.DiskDir)); removed != nil {
		err = errors.Join(err, fmt.Errorf("remove lab %s: %w", l.spec.Name, removed))
	}
	return err
}
