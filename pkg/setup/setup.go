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

// Setup is one set-up, begun on one of the two machines.
type Setup struct {
	Here machine.Machine
	// Open makes the first contact with the other machine. It returns the lines
	// of known_hosts that it was found by, and what ends the session.
	Open    func(ctx context.Context, address string, port int) (m machine.Machine, hostKeys []string, end func() error, err error)
	Answers Answers
	Talk    Talk
	// DryRun shows what would be done. Yes answers what can be answered by what
	// was found, and lets services be restarted. Replace lets what differs be
	// replaced.
	DryRun, Yes, Replace bool
	// NoStart leaves starting to a person.
	NoStart bool
	// Toward returns the address by which another one is reached; nil asks the
	// kernel.
	Toward func(netip.Addr) (netip.Addr, error)
	// Poll is how often a change that is waited for is looked for, and Patience
	// how long it may take.
	Poll, Patience time.Duration

	here, there *node
	cfg         *config.Config
	user        string // that the nodes log in as
	diagnosis   string // what a doctor has said already
	origin      string // where the other node can fetch the projects' files; "" where it has them
}

// node is one of the two.
type node struct {
	machine.Machine
	machine.Facts
	name, address string
	self          config.Node
	text          string // its configuration
	cfg           *config.Config
	hostKeys      []string // lines of known_hosts, for the other one
	changed       bool     // keepalived's configuration is new
}

// Run does the set-up, from where an earlier one has ended.
func (s *Setup) Run(ctx context.Context) error {
	s.Poll, s.Patience = cmp.Or(s.Poll, time.Second), cmp.Or(s.Patience, 4*time.Minute)
	facts, err := s.Here.Look(ctx)
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
		return &LackError{"this machine", "a set-up needs root", "run it with sudo, or as root"}
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
	defer func() { _ = end() }() // all that was asked for has been answered
	thereFacts, err := there.Look(ctx)
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
	s.left()
	return nil
}

// existing is the configuration that this machine has already; "" is none. It
// also tells who the other machine is.
func (s *Setup) existing(ctx context.Context, facts machine.Facts) (string, error) {
	file, err := s.Here.Read(ctx, configFile)
	if err != nil || !file.Found {
		return "", err
	}
	if s.Answers.Given && s.Answers.Peer != "" {
		return "", nil // what was given counts; the file is compared with it
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
		return "", &AnswerError{"--peer", configFile + " does not have one other machine", "a set-up is for a pair; more nodes are added by hand"}
	}
	s.Answers.Peer = cmp.Or(s.Answers.Peer, others[0].Address)
	s.Answers.Port = cfg.SSH.Port
	s.Answers.Address = self.Address
	return file.Text, nil
}

// decide settles the configuration of both nodes.
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
		return bad("--peer", "that machine does not have the address %s itself", peer)
	}
	s.here.text, s.there.text = text, on(text, there.Interface)
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

// preflight looks for what would make a later step fail, while nothing has been
// changed.
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

// introduce says who the two are.
func (s *Setup) introduce() {
	s.Talk.paragraph("", s.here.name+" is this machine, "+s.here.address+"; "+s.there.name+" is "+s.there.address+". Both have understudy "+release(s.here.Facts)+".")
	if s.DryRun {
		s.Talk.say("Nothing is changed: this shows what would be done.")
	}
	s.Talk.say("")
}
