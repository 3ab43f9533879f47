//go:build drill

package drill

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/keepalived"
)

// renderings returns configurations as failover-notify keepalived writes them,
// and the packaged ones.
func renderings(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, name := range []string{"primary", "secondary"} {
		text, err := os.ReadFile("../packaging/keepalived/" + name + ".conf")
		if err != nil {
			t.Fatal(err)
		}
		texts["packaged "+name] = string(text)
	}
	for name, c := range map[string]struct {
		change   func(*config.Keepalived)
		password string
	}{
		"multicast": {func(k *config.Keepalived) { k.Unicast = false }, ""},
		"password":  {func(*config.Keepalived) {}, "s3cret.x"},
		"version 3": {func(k *config.Keepalived) { k.Version, k.AdvertInterval = 3, 100*time.Millisecond }, ""},
	} {
		cfg := &config.Config{
			Nodes:     []config.Node{{Name: "primary", Address: "192.168.86.47", Priority: 100}, {Name: "secondary", Address: "192.168.86.48", Priority: 90}},
			VirtualIP: "192.168.86.100/24", Interface: "enp2s0", RunDir: "/run/understudy",
			Keepalived: config.Keepalived{VirtualRouterID: 51, AdvertInterval: time.Second, Version: 2, Unicast: true, Programs: "/usr/bin"},
		}
		c.change(&cfg.Keepalived)
		text, err := keepalived.Render(cfg, cfg.Nodes[0], c.password)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = text
	}
	return texts
}

// TestKeepalivedAccepts lets the real keepalived parse each of them.
func TestKeepalivedAccepts(t *testing.T) {
	if Kind() != lab.NS {
		t.Log("the same keepalived runs on both kinds of nodes: see the drill on ns nodes")
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	programs, err := Build(ctx, lab.NS, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.Up(ctx, lab.Options{Kind: lab.NS, Nodes: []string{"a", "b"}, HubProgram: programs.Hub, Simulator: programs.Simulator, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	})
	node := l.Nodes[0]
	if _, err := Shell(ctx, node, `ip link add enp2s0 type veth peer name other; ip link set enp2s0 up; ip link set other up; mkdir -p /run/understudy
		for p in track-traefik failover-notify; do printf '#!/bin/sh\n' >"/usr/bin/$p"; chmod 755 "/usr/bin/$p"; done`); err != nil {
		t.Fatal(err)
	}
	for name, text := range renderings(t) {
		if err := WriteFile(ctx, node, "/etc/keepalived/tried.conf", text); err != nil {
			t.Fatal(err)
		}
		said, err := Shell(ctx, node, `chmod 600 /etc/keepalived/tried.conf; keepalived -t -f /etc/keepalived/tried.conf 2>&1`)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
		for _, bad := range []string{"nknown keyword", "ncompatible", "resetting", "Truncating", "does not exist for", "not found"} {
			if strings.Contains(said, bad) {
				t.Errorf("%s: keepalived says:\n%s", name, said)
			}
		}
	}
}
