package setup

import (
	"context"
	"net/netip"
	"strings"

	"github.com/understudy-ha/understudy/pkg/setup/machine"
)

// question is one value to ask for; the usual one is what was found.
type question struct {
	text  string
	value *string
	list  *[]string // instead of value: words
	given bool      // on the command line
}

// interview asks for what was not given, with what was found as the usual
// answer. Without a terminal, or with --yes, the usual answers hold.
func (s *Setup) interview(ctx context.Context, a *Answers, here, there machine.Facts, peer netip.Addr) error {
	given := *a
	if err := a.machines(here, there, peer); err != nil {
		return err
	}
	err := s.questions(
		question{text: "Name of this node", value: &a.Name, given: given.Name != ""},
		question{text: "Name of the other node", value: &a.PeerName, given: given.PeerName != ""},
		question{text: "Virtual address, a free one of this network", value: &a.VirtualIP, given: given.VirtualIP != ""},
		question{text: "Interface that has it", value: &a.Interface, given: given.Interface != ""},
		question{text: "What always answers in this network, such as the router (none: -)", list: &a.Witnesses, given: len(given.Witnesses) > 0},
		question{text: "Datasets to replicate, each with all below it (none: -)", list: &a.Datasets, given: len(given.Datasets) > 0},
		question{text: "Folder of the Compose projects (none: -)", value: &a.Directory, given: given.Directory != ""},
	)
	if err != nil {
		return err
	}
	if a.Directory != "" {
		if err := s.askServices(ctx, a, given); err != nil {
			return err
		}
	}
	if a.VirtualIP == "" {
		return &AnswerError{"--virtual-ip", "which address do the clients use?", "give a free one of this network: --virtual-ip 192.168.86.100"}
	}
	if len(a.Datasets) == 0 && len(a.Projects) == 0 {
		return &AnswerError{"--dataset", "there is nothing to take over: neither a dataset nor a project", "give at least one: --dataset tank/apps, or --services-directory /srv/compose"}
	}
	// A person may have typed what no flag would have let through.
	if err := a.check(); err != nil {
		return err
	}
	return a.address(here, peer)
}

// askServices asks for the projects and for Traefik.
func (s *Setup) askServices(ctx context.Context, a *Answers, given Answers) error {
	var err error
	if len(a.Projects) == 0 {
		if a.Projects, err = patterns(a.Directory); err != nil {
			return err
		}
		if len(a.Projects) == 0 {
			return &AnswerError{"--services-directory", "no Compose file lies in " + a.Directory, "name the folder that has them, or the files: --project 'apps/*/compose.yaml'"}
		}
	}
	if err := s.questions(question{text: "Projects, patterns of Compose files", list: &a.Projects, given: len(given.Projects) > 0}); err != nil {
		return err
	}
	found, err := services(ctx, *a)
	if err != nil {
		return err
	}
	if a.Container == "" {
		a.Container = found.container
	}
	if a.Ping == "" && a.Container != "" {
		a.Ping = found.ping
		if a.Ping == "" {
			a.Ping = pingURL(nil)
		}
	}
	if len(a.First) == 0 && found.project != "" {
		a.First = []string{found.project}
	}
	return s.questions(
		question{text: "Container that has to serve, Traefik's (none: -)", value: &a.Container, given: given.Container != ""},
		question{text: "Address at which it answers a ping (none: -)", value: &a.Ping, given: given.Ping != "" || a.Container == ""},
		question{text: "Projects to start before all others (none: -)", list: &a.First, given: len(given.First) > 0},
	)
}

// questions asks for what was not given. "-" is nothing.
func (s *Setup) questions(list ...question) error {
	for _, q := range list {
		if !q.given && s.Talk.In != nil && !s.Yes {
			usual := ""
			if q.list != nil {
				usual = strings.Join(*q.list, " ")
			} else {
				usual = *q.value
			}
			answer, err := s.Talk.ask(q.text, usual)
			if err != nil {
				return err
			}
			if q.list != nil {
				*q.list = strings.Fields(strings.ReplaceAll(answer, ",", " "))
			} else {
				*q.value = answer
			}
		}
		switch {
		case q.list != nil && len(*q.list) == 1 && (*q.list)[0] == "-":
			*q.list = nil
		case q.value != nil && *q.value == "-":
			*q.value = ""
		}
	}
	return nil
}
