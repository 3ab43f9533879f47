package setup

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/understudy-ha/understudy/pkg/exit"
)

// Answers holds the settings of a pair. Empty ones are detected, or asked for.
type Answers struct {
	Peer string // address or name of the other machine
	Port int    // of sshd on both
	// Address is this machine's address, as the other machine sees it.
	Address        string
	Name, PeerName string
	VirtualIP      string // with or without the prefix length
	Interface      string
	RouterID       int // VRRP router number of the pair
	Datasets       []string
	Exclude        []string
	Directory      string // of the Compose projects
	Projects       []string
	First          []string
	Container      string // Traefik's
	Ping           string
	Witnesses      []string
	User           string // that the nodes log in as
	// Given reports that flags name more than the other machine: an existing
	// configuration is then compared with them.
	Given bool
}

// AnswerError is an invalid answer.
type AnswerError struct {
	Flag   string // such as --virtual-ip
	Text   string
	Advice string
}

func (e *AnswerError) Error() string { return e.Flag + ": " + e.Text }

// ExitCode is 64: the command line is wrong.
func (e *AnswerError) ExitCode() int { return exit.Usage }

// Hint says what to do next.
func (e *AnswerError) Hint() string { return e.Advice }

func bad(flag, format string, args ...any) *AnswerError {
	return &AnswerError{Flag: flag, Text: fmt.Sprintf(format, args...)}
}

var (
	nodeName   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$`)
	userName   = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
	ifaceName  = regexp.MustCompile(`^[^\s/:]{1,15}$`)
	datasetOne = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.:/ -]*$`)
)

// check validates the answers by themselves, without asking or detecting anything.
func (a Answers) check() error {
	if a.Peer == "" {
		return &AnswerError{"--peer", "the address of the other node is required", "give it: failover-notify setup --peer 192.168.86.48"}
	}
	if strings.ContainsAny(a.Peer, "@/ \t") || strings.HasPrefix(a.Peer, "-") {
		return bad("--peer", "%q is neither an address nor a host name", a.Peer)
	}
	if a.Port < 1 || a.Port > 65535 {
		return bad("--port", "%d is not a port", a.Port)
	}
	if a.RouterID < 0 || a.RouterID > 255 {
		return bad("--router-id", "%d is not between 1 and 255", a.RouterID)
	}
	if a.Address != "" {
		if _, err := netip.ParseAddr(a.Address); err != nil {
			return bad("--address", "%q is not an address", a.Address)
		}
	}
	for flag, name := range map[string]string{"--name": a.Name, "--peer-name": a.PeerName} {
		if name != "" && !nodeName.MatchString(name) {
			return bad(flag, "%q is not a name: letters, digits, '-', '_' and '.'", name)
		}
	}
	if a.Name != "" && a.Name == a.PeerName {
		return bad("--peer-name", "both nodes have the name %q", a.Name)
	}
	if a.Interface != "" && !ifaceName.MatchString(a.Interface) {
		return bad("--interface", "%q is not an interface name", a.Interface)
	}
	if a.User != "" && !userName.MatchString(a.User) {
		return bad("--user", "%q is not a user name", a.User)
	}
	if a.VirtualIP != "" {
		if _, err := parseVirtualIP(a.VirtualIP, 0); err != nil {
			return err
		}
	}
	return a.checkMore()
}

func (a Answers) checkMore() error {
	for flag, list := range map[string][]string{"--dataset": a.Datasets, "--exclude": a.Exclude} {
		for _, d := range list {
			if !datasetOne.MatchString(d) || strings.HasSuffix(d, "/") || strings.Contains(d, "//") {
				return bad(flag, "%q is not a dataset name", d)
			}
		}
	}
	if a.Directory != "" && !filepath.IsAbs(a.Directory) {
		return bad("--services-directory", "%q does not begin with /", a.Directory)
	}
	for _, p := range a.Projects {
		if _, err := filepath.Match(p, ""); err != nil || filepath.IsAbs(p) {
			return bad("--project", "%q is not a pattern of files below the services folder, such as */compose.yaml", p)
		}
	}
	if len(a.Projects) > 0 && a.Directory == "" && a.Given {
		return &AnswerError{"--services-directory", "the folder of the projects is required", "give it: --services-directory /srv/compose"}
	}
	if a.Ping != "" {
		if u, err := url.Parse(a.Ping); err != nil || u.Scheme != "http" || u.Host == "" {
			return bad("--ping", "%q is not a URL such as http://127.0.0.1:8080/ping", a.Ping)
		}
	}
	for _, w := range a.Witnesses {
		if u, err := url.Parse(w); err != nil || u.Host == "" {
			return bad("--witness", "%q is none of ping://ADDRESS, tcp://ADDRESS:PORT and http://ADDRESS/", w)
		}
	}
	return nil
}

// parseVirtualIP parses the virtual IP; bits is the prefix length if the text has
// none.
func parseVirtualIP(text string, bits int) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p, nil
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, bad("--virtual-ip", "%q is not an address such as 192.168.86.100", text)
	}
	return netip.PrefixFrom(ip, bits), nil
}
