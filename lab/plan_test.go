package lab

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/lab/internal/hub"
)

func TestPlanGivesAddressesInOrder(t *testing.T) {
	t.Setenv("UNDERSTUDY_CACHE", "/somewhere")
	spec, err := plan(Options{Kind: VM, Name: "x", Nodes: []string{"a", "b", "c"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"10.77.0.11/24", "10.77.0.12/24", "10.77.0.13/24"} {
		if got := spec.Nodes[i].Address; got != want {
			t.Errorf("address of node %s: %s, want %s", spec.Nodes[i].Name, got, want)
		}
	}
	if spec.RunDir != "/run/understudy-lab/x" || spec.DiskDir != "/somewhere/lab/run/x" || !spec.Owned {
		t.Errorf("folders %s, %s, owned %t", spec.RunDir, spec.DiskDir, spec.Owned)
	}
}

func TestPlanDefaults(t *testing.T) {
	spec, err := plan(Options{Detached: true})
	if err != nil {
		t.Fatal(err)
	}
	if spec.Kind != NS || len(spec.Nodes) != 2 || spec.Nodes[1].Name != "b" || spec.Name == "" || spec.Owned {
		t.Errorf("defaults: %+v", spec)
	}
}

func TestPlanRefuses(t *testing.T) {
	for what, options := range map[string]Options{
		"unknown kind":       {Kind: "cloud"},
		"four nodes":         {Nodes: []string{"a", "b", "c", "d"}},
		"same name twice":    {Nodes: []string{"a", "a"}},
		"the lab's own name": {Nodes: []string{"lab", "b"}},
		"long name":          {Nodes: []string{"abcdefghijk"}},
		"path as lab name":   {Name: "../etc"},
	} {
		if spec, err := plan(options); err == nil {
			t.Errorf("%s: accepted as %+v", what, spec)
		}
	}
}

func TestSeedHoldsWhatSSHNeeds(t *testing.T) {
	dir := t.TempDir()
	k := keys{dir: dir, knownHosts: []byte("a ssh-ed25519 AAAA\n")}
	for _, name := range []string{"id_ed25519", "id_ed25519.pub", "host-a", "host-a.pub"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	node := hub.NodeSpec{Name: "a", Address: "10.77.0.11/24", Management: "10.78.0.11/24", Seed: filepath.Join(dir, "seed.tar")}
	spec := hub.Spec{Name: "x", Kind: NS, Nodes: []hub.NodeSpec{node, {Name: "b", Address: "10.77.0.12/24"}}}
	if err := writeSeed(spec, node, k, []seedFile{{path: "usr/sbin/zpool", link: "zfs", mode: 0o777}}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(node.Seed)
	if err != nil {
		t.Fatal(err)
	}
	if len(data)%512 != 0 {
		t.Errorf("the archive's %d bytes are no whole sectors", len(data))
	}
	modes, contents := map[string]int64{}, map[string]string{}
	for archive := tar.NewReader(bytes.NewReader(data)); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		modes[header.Name], contents[header.Name] = header.Mode, string(text)+header.Linkname
	}
	for path, mode := range map[string]int64{
		"root/.ssh/": 0o700, "root/.ssh/authorized_keys": 0o600, "etc/understudy/id_ed25519": 0o600,
		"etc/ssh/ssh_host_ed25519_key": 0o600, "usr/sbin/lab-init": 0o755,
	} {
		if modes[path] != mode {
			t.Errorf("mode of %s: %o, want %o", path, modes[path], mode)
		}
	}
	if !strings.Contains(contents["etc/hosts"], "10.77.0.12 b\n") {
		t.Errorf("hosts: %s", contents["etc/hosts"])
	}
	if contents["etc/ssh/ssh_host_ed25519_key"] != "host-a" || contents["usr/sbin/zpool"] != "zfs" {
		t.Errorf("host key %q, zpool %q", contents["etc/ssh/ssh_host_ed25519_key"], contents["usr/sbin/zpool"])
	}
}

// Files of a setup must survive a boot, which restores the files of the seed.
func TestSeedOfABareNode(t *testing.T) {
	k := keys{dir: t.TempDir()}
	for _, kind := range []Kind{NS, VM} {
		files, err := bareSeed(kind, hub.NodeSpec{Name: "a"}, k)
		if err != nil {
			t.Fatal(err)
		}
		links := map[string]string{}
		for _, f := range files {
			if strings.HasPrefix(f.path, "etc/understudy/") || f.path == "root/.ssh/authorized_keys" {
				t.Errorf("%s node: each boot puts %s back", kind, f.path)
			}
			links[f.path] = f.link
		}
		for unit, target := range wanted {
			if got := links[unitDir+target+".wants/"+unit]; got != "../"+unit {
				t.Errorf("%s node: %s is not started by %s: %q", kind, unit, target, got)
			}
		}
		if masked := links[unitDir+"systemd-sysctl.service"] == "/dev/null"; masked != (kind == NS) {
			t.Errorf("%s node: systemd sets the kernel's settings: %t", kind, !masked)
		}
	}
}
