package setup

import (
	"context"
	"net/netip"
	"strings"

	"github.com/understudy-ha/understudy/pkg/setup/machine"
)

// question is one setting to ask for; the detected value is the default answer.
type question struct {
	text  string
	value *string
	list  *[]string // instead of value, for several words
	given bool      // on the command line
}

// interview asks for the settings that were not given. Detected values are the default
// answers; without a terminal, or with --yes, they hold.
func (s *Setup) interview(ctx context.Context, a *Answers, here, there machine.Facts, peer netip.Addr) error {
	given := *a
	if err := a.detect(here, there, peer); err != nil {
		return err
	}
	err := s.questions(
		question{text: "Name of this node", value: &a.Name, given: given.Name != ""},
		question{text: "Name of the other node", value: &a.PeerName, given: given.PeerName != ""},
		question{text: "Virtual IP, a free address of this network", value: &a.VirtualIP, given: given.VirtualIP != ""},
		question{text: "Interface of the virtual IP", value: &a.Interface, given: given.Interface != ""},
		question{text: "Witness: a URL that always answers, usually the router (none: -)", list: &a.Witnesses, given: len(given.Witnesses) > 0},
		question{text: "Datasets to replicate, with all below them (none: -)", list: &a.Datasets, given: len(given.Datasets) > 0},
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
		return &AnswerError{"--virtual-ip", "the address that the clients use is required", "give a free address of this network: --virtual-ip 192.168.86.100"}
	}
	if len(a.Datasets) == 0 && len(a.Projects) == 0 {
		return &AnswerError{"--dataset", "nothing to take over: neither a dataset nor a project", "give at least one: --dataset tank/apps, or --services-directory /srv/compose"}
	}
	// Typed answers need the validation that flags get.
	if err := a.check(); err != nil {
		return err
	}
	return a.checkVirtualIP(here, peer)
}

// askServices asks for the projects and Traefik.
func (s *Setup) askServices(ctx context.Context, a *Answers, given Answers) error {
	var err error
	if len(a.Projects) == 0 {
		if a.Projects, err = findPatterns(a.Directory); err != nil {
			return err
		}
		if len(a.Projects) == 0 {
			return &AnswerError{"--services-directory", "no Compose file in " + a.Directory, "name their folder, or the files: --project 'apps/*/compose.yaml'"}
		}
	}
	if err := s.questions(question{text: "Projects, as patterns of Compose files", list: &a.Projects, given: len(given.Projects) > 0}); err != nil {
		return err
	}
	found, err := findTraefik(ctx, *a)
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
		question{text: "Container that must serve, usually Traefik's (none: -)", value: &a.Container, given: given.Container != ""},
		question{text: "URL of its ping (none: -)", value: &a.Ping, given: given.Ping != "" || a.Container == ""},
		question{text: "Projects to start before all others (none: -)", list: &a.First, given: len(given.First) > 0},
	)
}

// questions asks for the settings that were not given. "-" is an empty answer.
func (s *Setup) questions(list ...question) error {
	for _, q := range list {
		if !q.given && s.Dialog.In != nil && !s.Yes {
			detected := ""
			if q.list != nil {
				detected = strings.Join(*q.list, " ")
			} else {
				detected = *q.value
			}
			answer, err := s.Dialog.ask(q.text, detected)
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
