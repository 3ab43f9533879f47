package setup

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/setup/machine"
)

const (
	sshPort    = 22
	configFile = config.DefaultFile
)

// Setup is the setup of a pair, run on one of the two machines.
type Setup struct {
	Here machine.Machine
	// Open logs in to the other machine. It returns its known_hosts lines, and a
	// function that ends the session.
	Open    func(ctx context.Context, address string, port int) (m machine.Machine, hostKeys []string, end func() error, err error)
	Answers Answers
	Dialog  Dialog
	// DryRun shows the steps only. Yes accepts detected values and lets services
	// restart. Replace replaces content that differs.
	DryRun, Yes, Replace bool
	// NoStart leaves starting to the operator.
	NoStart bool
	// Toward returns the own address that reaches another; nil asks the kernel.
	Toward func(netip.Addr) (netip.Addr, error)
	// Poll is the interval at which an awaited change is checked, Patience its limit.
	Poll, Patience time.Duration

	here, there *node
	cfg         *config.Config
	user        string // that the nodes log in as
	diagnosis   string // findings of doctor that were printed
	origin      string // git remote of the project files; "" if the other node has them
}

// node is one of the two nodes.
type node struct {
	machine.Machine
	machine.Facts
	name, address string
	self          config.Node
	text          string // its configuration
	cfg           *config.Config
	hostKeys      []string // its known_hosts lines, for the other node
	changed       bool     // keepalived's configuration is new
}

// Run runs the setup, and skips the steps of an earlier run.
func (s *Setup) Run(ctx context.Context) error {
	s.Poll, s.Patience = cmp.Or(s.Poll, time.Second), cmp.Or(s.Patience, 4*time.Minute)
	facts, err := s.Here.Inspect(ctx)
	if err != nil {
		return err
	}
	existing, err := s.existing(ctx, facts)
	if err != nil {
		return err
	}
	if err := s.questions(question{text: "Address of the other node", value: &s.Answers.Peer, given: s.Answers.Peer != ""}); err != nil {
		return err
	}
	if err := s.Answers.check(); err != nil {
		return err
	}
	if facts.UID != 0 {
		return &NotReadyError{"this machine", "setup needs root", "run it with sudo, or as root"}
	}
	peer, err := resolve(ctx, s.Answers.Peer)
	if err != nil {
		return err
	}
	toward := s.Toward
	if toward == nil {
		toward = ownAddress
	}
	if s.Answers.Address == "" {
		own, err := toward(peer)
		if err != nil {
			return err
		}
		s.Answers.Address = own.String()
	}
	there, hostKeys, end, err := s.Open(ctx, peer.String(), s.Answers.Port)
	if err != nil {
		return err
	}
	defer func() { _ = end() }() // all requests have been answered
	thereFacts, err := there.Inspect(ctx)
	if err != nil {
		return err
	}
	s.here = &node{Machine: s.Here, Facts: facts}
	s.there = &node{Machine: there, Facts: thereFacts, hostKeys: hostKeys}
	if err := s.decide(ctx, existing, peer); err != nil {
		return err
	}
	if err := s.preflight(ctx); err != nil {
		return err
	}
	s.introduce()
	if err := s.steps(ctx, s.plan()); err != nil {
		return err
	}
	s.printRemaining()
	return nil
}

// existing returns this machine's configuration, or "". It also sets the address of the
// other machine.
func (s *Setup) existing(ctx context.Context, facts machine.Facts) (string, error) {
	file, err := s.Here.Read(ctx, configFile)
	if err != nil || !file.Found {
		return "", err
	}
	if s.Answers.Given && s.Answers.Peer != "" {
		return "", nil // the flags count; the file is compared with them
	}
	cfg, err := load(file.Text)
	if err != nil {
		return "", err
	}
	self, err := cfg.Self(ctx, func() (own []netip.Addr, err error) {
		for _, a := range facts.Addresses {
			own = append(own, a.Prefix.Addr())
		}
		return own, nil
	})
	if err != nil {
		return "", err
	}
	others := cfg.Standbys(self)
	if len(others) != 1 || others[0].Local {
		return "", &AnswerError{"--peer", configFile + " does not name exactly one other machine", "setup is for a pair; add more nodes by hand"}
	}
	s.Answers.Peer = cmp.Or(s.Answers.Peer, others[0].Address)
	s.Answers.Port = cfg.SSH.Port
	s.Answers.Address = self.Address
	return file.Text, nil
}

// decide determines the configuration of both nodes.
func (s *Setup) decide(ctx context.Context, existing string, peer netip.Addr) error {
	text, a := existing, &s.Answers
	if text == "" {
		if err := s.interview(ctx, a, s.here.Facts, s.there.Facts, peer); err != nil {
			return err
		}
		var err error
		if text, err = a.text(peer.String(), s.here.Folder); err != nil {
			return err
		}
	}
	there, ok := s.there.At(peer)
	if !ok {
		return bad("--peer", "that machine lacks the address %s", peer)
	}
	s.here.text, s.there.text = text, withInterface(text, there.Interface)
	for _, n := range []*node{s.here, s.there} {
		var err error
		if n.cfg, err = load(n.text); err != nil {
			return err
		}
	}
	s.cfg = s.here.cfg
	s.user = cmp.Or(s.cfg.SSH.User, "root")
	own, err := netip.ParseAddr(a.Address)
	if err != nil {
		return bad("--address", "%q is not an address", a.Address)
	}
	for _, one := range []struct {
		n  *node
		ip netip.Addr
	}{{s.here, own}, {s.there, peer}} {
		if one.n.self, err = one.n.cfg.Self(ctx, func() ([]netip.Addr, error) { return []netip.Addr{one.ip}, nil }); err != nil {
			return err
		}
		one.n.name, one.n.address = one.n.self.Name, one.ip.String()
	}
	return nil
}

// preflight checks everything that would make a later step fail, before the first
// change.
func (s *Setup) preflight(ctx context.Context) error {
	a := Answers{Name: s.here.name, PeerName: s.there.name, Projects: s.cfg.Services.Projects}
	for _, d := range s.cfg.Replication.Datasets {
		a.Datasets = append(a.Datasets, d.Name)
	}
	if err := ready(s.here.Facts, s.there.Facts, a); err != nil {
		return err
	}
	return errors.Join(s.checkPools(ctx), s.checkProjects(ctx), s.checkAddress(ctx))
}

// introduce names the two machines.
func (s *Setup) introduce() {
	s.Dialog.paragraph("", s.here.name+" is this machine, "+s.here.address+"; "+s.there.name+" is "+s.there.address+". Both have Understudy "+release(s.here.Facts)+".")
	if s.DryRun {
		s.Dialog.say("Dry run: nothing changes.")
	}
	s.Dialog.say("")
}
