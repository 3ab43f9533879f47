//go:build drill

package drill

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
)

func sshTroubles(t *testing.T, d *drill) {
	for _, c := range []struct {
		name    string
		prepare func(*testing.T)
		config  func(Config)
		code    int
		says    string
		hint    string
	}{
		{"refused", nil, func(c Config) { c.Set("ssh.port", 2222) }, 1,
			`ssh to 10.77.0.12: connection refused`, `see that sshd runs there .* and listens on this port`},
		{"host key changed", func(t *testing.T) {
			d.instead(t, d.A, "/etc/understudy/known_hosts", d.shell(t, d.A, `echo "10.77.0.12 $(cut -d' ' -f1-2 /etc/understudy/id_ed25519.pub)"`))
		}, nil, 1,
			`ssh to 10.77.0.12: its host key is not the one in /etc/understudy/known_hosts`, `if the other node was reinstalled, remove its old key with 'ssh-keygen -R 10.77.0.12 -f /etc/understudy/known_hosts' .*`},
		{"host key unknown", func(t *testing.T) { d.instead(t, d.A, "/etc/understudy/known_hosts", "# nobody") }, nil, 1,
			`ssh to 10.77.0.12: its host key is not known`, `compare it on that node's console, then add it to /etc/understudy/known_hosts .*`},
		{"key not accepted", func(t *testing.T) {
			d.shell(t, d.A, `ssh-keygen -q -t ed25519 -N '' -f /run/other-key`)
			d.instead(t, d.A, "/root/.ssh/config", "# or it offers the right key too")
		},
			func(c Config) { c.Set("ssh.identity_file", "/run/other-key") }, 1,
			`ssh to 10.77.0.12: the key /run/other-key is not accepted there`, `put the public half into authorized_keys .*`},
		{"program missing", nil, func(c Config) { c.Set("ssh.remote_command", "/opt/none/zfs-replicate") }, 1,
			`ssh to 10.77.0.12: /opt/none/zfs-replicate is not there`, `install understudy there, or set ssh.remote_command to the program's full path`},
		{"program not on PATH", nil, func(c Config) { c.Set("ssh.remote_command", "zfs-replicate-none") }, 1,
			`ssh to 10.77.0.12: zfs-replicate-none is not on PATH there`, `install understudy there, or set ssh.remote_command to the program's full path`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.must(t, d.Configure(d.ctx, c.config))
			if c.prepare != nil {
				c.prepare(t)
			}
			o := d.run(t)
			fails(t, o, c.code, c.says, c.hint)
			if o.Took > 40*time.Second {
				t.Errorf("it took %s", o.Took)
			}
		})
	}
	d.converges(t)
}

func otherEnd(t *testing.T, d *drill) {
	fake := func(first string) func(*testing.T) {
		return func(t *testing.T) {
			d.sideFile(t, d.B, "/usr/local/bin/fake-receiver", "#!/bin/sh\necho '"+first+"'\nexec cat >/dev/null\n")
		}
	}
	asFake := func(c Config) { c.Set("ssh.remote_command", "/usr/local/bin/fake-receiver") }
	for _, c := range []struct {
		name    string
		prepare func(*testing.T)
		a, b    func(Config)
		code    int
		says    string
		hint    string
	}{
		{"config broken", func(t *testing.T) { d.instead(t, d.B, "/etc/understudy/config.yaml", "nodes: []\nreplicaton: {}") }, nil, nil, 78,
			`on b: config: .*`, `.*`},
		{"config missing", func(t *testing.T) {
			d.shell(t, d.B, `mv /etc/understudy/config.yaml /etc/understudy/away`)
			d.afterwards(t, d.B, `mv /etc/understudy/away /etc/understudy/config.yaml`)
		}, nil, nil, 78, `on b: read config /etc/understudy/config.yaml: no such file or directory`, `.*`},
		{"dataset not listed", nil, nil, func(c Config) { c.Set("replication.datasets", []any{Config{"name": "tank/other"}}) }, 76,
			`on b: dataset tank is not listed in the config of b`, `use the same replication.datasets in the config of both nodes`},
		{"another protocol", fake("understudy zfs-replicate receiver, protocol 7"), asFake, nil, 1,
			`b: its zfs-replicate speaks protocol 7, this node's speaks 1`, `install the same release of understudy on both nodes`},
		{"another program", fake("Welcome to b!"), asFake, nil, 1,
			`b: the other end said "Welcome to b!" instead of the receiver's first line`, `nothing may print at a login without a terminal .*`},
		{"banner at login", func(t *testing.T) {
			d.shell(t, d.B, `touch /root/.bashrc; cp -p /root/.bashrc /root/.bashrc.kept; sed -i '1i echo "** b, be careful **"' /root/.bashrc`)
			d.afterwards(t, d.B, `mv /root/.bashrc.kept /root/.bashrc`)
		}, nil, nil, 1,
			`b: the other end said "\*\* b, be careful \*\*" instead of the receiver's first line`, `nothing may print at a login without a terminal .*`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.must(t, d.ConfigureNode(d.ctx, d.A, c.a))
			d.must(t, d.ConfigureNode(d.ctx, d.B, c.b))
			if c.prepare != nil {
				c.prepare(t)
			}
			o := d.run(t)
			fails(t, o, c.code, c.says, c.hint)
			if o.Took > 40*time.Second {
				t.Errorf("it took %s", o.Took)
			}
		})
	}
	d.converges(t)
}

func forcedCommand(t *testing.T, d *drill) {
	d.shell(t, d.A, `[ -e /run/forced-key ] || ssh-keygen -q -t ed25519 -N '' -f /run/forced-key`)
	public := d.shell(t, d.A, `cat /run/forced-key.pub`)
	d.shell(t, d.B, `cp -p /root/.ssh/authorized_keys /root/.ssh/kept; echo "restrict,command=\"zfs-replicate receiver\" $1" >>/root/.ssh/authorized_keys`, public)
	d.afterwards(t, d.B, `mv /root/.ssh/kept /root/.ssh/authorized_keys`)
	d.must(t, d.Configure(d.ctx, func(c Config) { c.Set("ssh.identity_file", "/run/forced-key") }))
	d.write(t, "tank/small", 100_000)
	if o := d.run(t); o.Code != 0 {
		t.Fatalf("with the forced command: code %d\n%s", o.Code, o.Stderr)
	}
	d.clean(t)
	// The key serves no other purpose.
	said, err := Shell(d.ctx, d.A, `timeout 20 ssh -o BatchMode=yes -o IdentitiesOnly=yes -i /run/forced-key -o UserKnownHostsFile=/etc/understudy/known_hosts root@10.77.0.12 'touch /run/intruder; hostname' </dev/null || true`)
	d.must(t, err)
	if !strings.HasPrefix(said, "understudy zfs-replicate receiver") {
		t.Errorf("another command with that key said %q", said)
	}
	d.shell(t, d.B, `! test -e /run/intruder`)
	d.converges(t)
}

// oneStandbyDown adds a third node to the configuration that does not exist.
func oneStandbyDown(t *testing.T, d *drill) {
	d.must(t, d.Configure(d.ctx, func(c Config) {
		c["nodes"] = append(c["nodes"].([]any), Config{"name": "c", "address": "10.77.0.99", "priority": 50})
	}))
	d.write(t, "tank/small", 100_000)
	o := d.run(t)
	fails(t, o, 3, `ssh to 10.77.0.99: no (route|answer)`, `see that the node is up and its network reaches this node .*`)
	if o.Result == nil || len(o.Result.Standbys) != 2 || o.Result.Standbys[0].Error != "" {
		t.Errorf("b was not served: %s", o.Stderr)
	}
	d.clean(t)
	d.converges(t)
}

func (d *drill) setRole(t *testing.T, n lab.Node, role string, term, newest int) {
	t.Helper()
	d.must(t, WriteFile(d.ctx, n, "/var/lib/understudy/role.json", fmt.Sprintf(`{"role": %q, "term": %d, "newest_term": %d}`, role, term, newest)))
}

func (d *drill) forgetRoles(t *testing.T) {
	for _, n := range []lab.Node{d.A, d.B} {
		d.shell(t, n, `rm -f /var/lib/understudy/role.json`)
	}
}

func withRoles(c Config) { c.Set("replication.require_role", true) }

func roles(t *testing.T, d *drill) {
	defer d.forgetRoles(t)
	d.must(t, d.Configure(d.ctx, withRoles))
	const list = `zfs list -Ht snapshot -o name -r tank | sort`
	before := d.shell(t, d.B, list)
	for _, c := range []struct {
		name         string
		a, b         string
		termA, termB int
		newestB      int
		says, hint   string
	}{
		{"sender standby", "standby", "standby", 2, 2, 2, `a is standby, not active: only the active node replicates`, `.*`},
		{"receiver active", "active", "active", 2, 2, 2, `on b: b is active \(term 2\): it does not receive from a \(term 2\)`, `.*`},
		{"receiver promoting", "active", "promoting", 2, 3, 3, `on b: b is promoting .*`, `.*`},
		{"receiver has seen a newer term", "active", "standby", 2, 1, 3, `on b: b has seen term 3, a is at term 2: the sender's history is out of date`, `.*`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.setRole(t, d.A, c.a, c.termA, c.termA)
			d.setRole(t, d.B, c.b, c.termB, c.newestB)
			fails(t, d.run(t), 76, c.says, c.hint)
		})
	}
	t.Run("nothing was received", func(t *testing.T) {
		if after := d.shell(t, d.B, list); after != before {
			t.Errorf("the snapshots on b were\n%s\nand are\n%s", before, after)
		}
	})
	t.Run("no role", func(t *testing.T) {
		d.forgetRoles(t)
		fails(t, d.run(t), 76, `a has no role yet, and replication.require_role is true`, `.*`)
	})
	t.Run("as it should be", func(t *testing.T) {
		d.setRole(t, d.A, "active", 3, 3)
		d.setRole(t, d.B, "standby", 2, 3)
		d.write(t, "tank/small", 100_000)
		if o := d.run(t); o.Code != 0 {
			t.Errorf("code %d:\n%s", o.Code, o.Stderr)
		}
		d.clean(t)
	})
}

func promotedInTheMiddle(t *testing.T, d *drill) {
	defer d.forgetRoles(t)
	d.setRole(t, d.A, "active", 3, 3)
	d.setRole(t, d.B, "standby", 2, 3)
	var took time.Duration
	o, _ := d.broken(t, 5<<20, withRoles, func() {
		d.setRole(t, d.B, "promoting", 4, 4)
		began := time.Now()
		for time.Since(began) < 20*time.Second {
			if d.shell(t, d.B, `pgrep -f "$1" || true`, receiving) == "" {
				break
			}
		}
		took = time.Since(began)
	})
	t.Logf("no zfs receive was left %.2f s after the promotion", took.Seconds())
	if took > 2*time.Second+slack()/2 {
		t.Errorf("that is more than 2 s, or 4 on an emulated machine")
	}
	fails(t, o, 3, `.*b is promoting \(term 4\): it does not receive from a \(term 3\).*`, `.*`)
	d.forgetRoles(t)
	d.resumes(t)
}

// slack is the cost of a few commands on an emulated machine.
func slack() time.Duration {
	if Kind() == lab.VM {
		return 4 * time.Second
	}
	return 0
}

// standbyAway prunes the standby's snapshots on the source, so that only the
// bookmark marks the point to continue from.
func standbyAway(t *testing.T, d *drill) {
	keep := func(c Config) { c.Set("replication.keep", Config{"last": 2}) }
	alone := func(c Config) { keep(c); c.Set("ssh.port", 2222) }
	d.converges(t)
	d.must(t, d.Configure(d.ctx, alone))
	for i := range 5 {
		d.shell(t, d.A, `echo "$1" >>/tank/small/file; sync`, fmt.Sprint(i))
		if o := d.run(t, "--snapshot", "always"); o.Code != 1 {
			t.Fatalf("a run without a standby: code %d\n%s", o.Code, o.Stderr)
		}
		time.Sleep(1100 * time.Millisecond) // names have seconds
	}
	// The operator destroys the common snapshot: this alone breaks nothing.
	d.shell(t, d.A, `for s in $(zfs list -Ht snapshot -o name -s createtxg -d 1 tank/small | head -n -2); do zfs destroy "$s"; done`)
	d.must(t, d.Configure(d.ctx, keep))
	o := d.run(t)
	item := o.Item("tank/small")
	if o.Code != 0 || item == nil || len(item.Streams) == 0 || !strings.Contains(item.Streams[0].From, "#") {
		t.Fatalf("it did not go on from the bookmark: code %d, %+v\n%s", o.Code, item, o.Stderr)
	}
	for i := range 4 {
		d.shell(t, d.A, `echo "$1" >>/tank/small/file; sync`, fmt.Sprint(i))
		if o := d.run(t, "--snapshot", "always"); o.Code != 0 {
			t.Fatalf("code %d\n%s", o.Code, o.Stderr)
		}
		time.Sleep(1100 * time.Millisecond)
	}
	for _, n := range []lab.Node{d.A, d.B} {
		if count := d.shell(t, n, `zfs list -Ht snapshot -o name -d 1 tank/small | wc -l`); count != "2" {
			t.Errorf("%s keeps %s snapshots of tank/small, want 2", n.Name(), count)
		}
	}
	d.clean(t)
	d.converges(t)
}

// otherDirection swaps the nodes: b's datasets are made writable, changed, and
// replicated to a. It is the last scenario, since b stays the writer.
func otherDirection(t *testing.T, d *drill) {
	d.must(t, d.Configure(d.ctx, nil))
	// Unmounting removes the folders of the mount points, so it follows the
	// last run of a.
	d.shell(t, d.A, `cd /; zfs unmount -a; zfs set readonly=on tank; for name in small "two words" big; do zfs set canmount=noauto "tank/$name"; done`)
	if o := d.run(t); o.Code != 0 {
		t.Fatalf("the last run from a: code %d\n%s", o.Code, o.Stderr)
	}
	d.shell(t, d.B, `
		zfs inherit -S mountpoint tank/understudy-root
		for name in tank/understudy-root tank/small "tank/two words" tank/big; do
			zfs set readonly=off "$name"
			zfs set canmount=on "$name"
			[ "$(zfs get -Ho value mounted "$name")" = yes ] || zfs mount "$name"
		done
		zfs inherit readonly tank/volume
		echo "from b" >"$(zfs get -Ho value mountpoint tank/understudy-root)/from-b"
		echo "from b" >/tank/small/from-b; sync`)
	o, err := StartRun(d.ctx, d.B).Wait()
	d.must(t, err)
	if o.Code != 0 {
		t.Errorf("code %d:\n%s", o.Code, o.Stderr)
	}
	for source, target := range map[string]string{"tank/small": "tank/small", "tank/understudy-root": "tank"} {
		item := o.Item(source)
		if item == nil || item.Action != plan.Incremental || item.Target != target || item.Error != "" {
			t.Errorf("%s does not come back to %s: %+v", source, target, item)
			continue
		}
		guid := `zfs list -Hpt snapshot -o guid -s createtxg -d 1 "$1" | tail -1`
		if here, there := d.shell(t, d.B, guid, source), d.shell(t, d.A, guid, target); here != there {
			t.Errorf("%s: the newest snapshot's guid is %s on b and %s on a", source, here, there)
		}
	}
}
