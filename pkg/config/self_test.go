package config_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/pkg/config"
)

func addresses(list ...string) func() ([]netip.Addr, error) {
	return func() ([]netip.Addr, error) {
		var parsed []netip.Addr
		for _, a := range list {
			parsed = append(parsed, netip.MustParseAddr(a))
		}
		return parsed, nil
	}
}

func TestSelf(t *testing.T) {
	const nodes = "nodes: [{name: a, address: 10.0.0.1}, {name: b, address: '2001:db8::2'}, {name: c, local: true}]\n"
	for _, c := range []struct {
		name, text string
		own        []string
		want       string // the node's name, or "error: " and a part of the message
	}{
		{"by address", nodes, []string{"127.0.0.1", "10.0.0.1"}, "a"},
		{"by IPv6 address", nodes, []string{"::1", "2001:db8::2"}, "b"},
		{"by name", nodes + "node: b\n", []string{"10.0.0.1"}, "b"},
		{"a local node by name", nodes + "node: c\n", nil, "c"},
		{"loopback", "nodes: [{name: a, address: 127.0.1.1}]\n", []string{"127.0.0.1"}, "a"},
		{"by host name", "nodes: [{name: a, address: localhost}, {name: b, address: 10.0.0.9}]\n", []string{"127.0.0.1"}, "a"},
		{"none", nodes, []string{"127.0.0.1", "10.0.0.3"}, "error: none of this machine's addresses (10.0.0.3) is that of a node (a 10.0.0.1, b 2001:db8::2)"},
		{"none at all", nodes, []string{"127.0.0.1"}, "error: none of this machine's addresses (only loopback)"},
		{"several", nodes, []string{"10.0.0.1", "2001:db8::2"}, "error: this machine has the addresses of several nodes: a (10.0.0.1), b (2001:db8::2)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := load(t, c.text).Self(t.Context(), addresses(c.own...))
			if want, wantError := strings.CutPrefix(c.want, "error: "); wantError {
				fault, ok := errors.AsType[*config.SelfError](err)
				if !ok || !strings.Contains(err.Error(), want) || fault.ExitCode() != 78 || !strings.Contains(fault.Hint(), "UNDERSTUDY_NODE") {
					t.Errorf("error %v, want %q", err, want)
				}
				return
			}
			if err != nil || got.Name != c.want {
				t.Errorf("%q, error %v, want %q", got.Name, err, c.want)
			}
		})
	}
}

func TestSelfWithoutAddresses(t *testing.T) {
	broken := errors.New("broken")
	_, err := load(t, small).Self(t.Context(), func() ([]netip.Addr, error) { return nil, broken })
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestLocalAddresses(t *testing.T) {
	list, err := config.LocalAddresses()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if a.IsLoopback() {
			return
		}
	}
	t.Errorf("no loopback address in %v", list)
}

func TestStandbys(t *testing.T) {
	c := load(t, "nodes: [{name: a, address: h1}, {name: b, address: h2}, {name: c, local: true}]\n")
	var names []string
	for _, n := range c.Standbys(c.Nodes[1]) {
		names = append(names, n.Name)
	}
	if got := strings.Join(names, " "); got != "a c" {
		t.Errorf("standbys of b: %s", got)
	}
}
