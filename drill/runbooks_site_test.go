//go:build drill

package drill

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/state"
)

// The documents describe one pair. The lab's pair has other addresses and the
// same names, with its own keys.
var (
	toLab = []string{
		"192.168.86.100", VirtualIP, "192.168.86.47", "10.77.0.11", "192.168.86.48", "10.77.0.12", "192.168.86.49", "10.77.0.13",
		"/etc/understudy/id_ed25519", "/etc/understudy/pair_ed25519", "/etc/understudy/known_hosts", "/etc/understudy/pair_hosts",
		"/root/.ssh/authorized_keys", "/root/.ssh/authorized_keys2",
	}
	toPage = func() []string {
		var swapped []string
		for i := 0; i < len(toLab); i += 2 {
			swapped = append(swapped, toLab[i+1], toLab[i])
		}
		return swapped
	}()
)

// pairConfig is the configuration of the documents with the lab's addresses and
// shorter times. The third node is missing at first.
const pairConfig = `nodes:
  - {name: primary,   address: 10.77.0.11, priority: 100}
  - {name: secondary, address: 10.77.0.12, priority: 90}
virtual_ip: ` + VirtualIP + `/24
interface: eth0
ssh:
  identity_file: /etc/understudy/pair_ed25519
  known_hosts_file: /etc/understudy/pair_hosts
replication:
  datasets:
    - {name: tank/apps}
services:
  directory: /srv/server
  projects: ["apps/*/docker-compose.yml"]
  first: [traefik]
  networks: [proxy]
  stop_timeout: 3s
probe: {container: traefik, ping: "http://127.0.0.1:8080/ping", hold_down: 3s}
witness: {targets: ["ping://10.77.0.1"]}
failover: {join_wait: 15s, peer_stop: 60s}
`

// systemctl stands for the real one where there is no systemd: it controls the
// lab's services.
const systemctl = `#!/bin/bash
verb=$1; shift
for unit in "$@"; do
	case ${unit%.service} in
	--now | *.timer) continue ;; # what a timer starts, a test starts itself
	understudy) name=watch ;;
	understudy-*) name=${unit#understudy-}; name=${name%.service} ;;
	*) name=${unit%.service} ;;
	esac
	script=$(echo /etc/lab/boot.d/[0-9][0-9]-"$name")
	[ -x "$script" ] || { echo "systemctl: there is no unit $unit" >&2; exit 5; }
	case $verb in
	start | stop) "$script" "$verb" </dev/null ;;
	restart) "$script" stop </dev/null; "$script" start </dev/null ;;
	reload) kill -HUP "$(lab-service pid "$name")" ;;
	enable) ;;
	is-active) if lab-service running "$name"; then echo active; else echo inactive; exit 3; fi ;;
	*) echo "systemctl: nothing here stands for $verb" >&2; exit 64 ;;
	esac || exit
done
`

// dropIn is the path of the packaged drop-in of keepalived.
const dropIn = "keepalived.service.d/understudy.conf"

// runbooks is the pair of the documents and a third machine.
type runbooks struct {
	*takeover
	third lab.Node
	load  *load // of the page that puts one on
}

// runbookPrograms are built once for all sites.
type runbookPrograms struct {
	SitePrograms
	more []string // paths of programs that other sites do without
}

func buildRunbooks(t *testing.T, ctx context.Context) (p runbookPrograms) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("the drill makes network namespaces, which needs root: sudo make drill")
	}
	dir := t.TempDir()
	var err error
	if p.SitePrograms, err = BuildSite(ctx, Kind(), dir); err != nil {
		t.Fatal(err)
	}
	packages := map[string]string{}
	for _, name := range []string{"lag-check", "image-sync"} {
		p.more = append(p.more, filepath.Join(dir, name))
		packages[filepath.Join(dir, name)] = "cmd/" + name
	}
	if err := buildAll(ctx, packages); err != nil {
		t.Fatal(err)
	}
	return p
}

// newRunbooks makes a site on which primary is active and secondary is ready.
func newRunbooks(t *testing.T, ctx context.Context, p runbookPrograms) *runbooks {
	t.Helper()
	began := time.Now()
	s, err := SiteUp(ctx, SiteOptions{Kind: Kind(), Nodes: []string{"primary", "secondary", "third"}, Programs: p.SitePrograms, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Down(); err != nil {
			t.Error(err)
		}
	})
	d := &takeover{Site: s, ctx: ctx, name: "first start", began: began, active: s.A, standby: s.B, lost: map[string]bool{}, tail: map[string]bool{}}
	r := &runbooks{takeover: d, third: s.Lab.Nodes[2]}
	for _, path := range p.more {
		r.must(t, s.Lab.Install(ctx, path))
	}
	for _, n := range s.Lab.Nodes {
		r.must(t, n.CopyTo(ctx, "../packaging/cron/zfs-replicate", "/etc/cron.d/zfs-replicate"))
		r.must(t, n.CopyTo(ctx, "../packaging/systemd/"+dropIn, "/usr/share/understudy/systemd/"+dropIn))
		r.must(t, WriteFile(ctx, n, "/usr/local/bin/systemctl", systemctl))
		r.must(t, WriteFile(ctx, n, "/etc/understudy/config.yaml", pairConfig))
		r.shell(t, n, `chmod 755 /usr/local/bin/systemctl`)
	}
	r.shell(t, r.third, bare)
	r.pairKeys(t, r.A, r.B)
	done := false
	defer func() {
		if !done {
			r.explain(t)
		}
	}()
	for _, n := range []lab.Node{r.A, r.B} {
		r.shell(t, n, keepalivedOf)
		r.must(t, lab.StartServices(ctx, n))
	}
	r.serves(t)
	r.heal(t)
	done = true
	t.Logf("site up in %.1f s", time.Since(began).Seconds())
	return r
}

// bare gives a node the programs and a pool, and nothing else.
const bare = `rm -rf /etc/lab/boot.d/[0-9][0-9]-{fence,join,watch,keepalived} /etc/understudy/config.yaml /etc/keepalived/keepalived.conf /etc/understudy/pair_* /root/.ssh/authorized_keys2`

const keepalivedOf = `failover-notify keepalived >/etc/keepalived/keepalived.conf`

// pairKeys lets each node in through the gates of the others.
func (r *runbooks) pairKeys(t *testing.T, nodes ...lab.Node) {
	t.Helper()
	for _, n := range nodes {
		r.shell(t, n, `cp /etc/understudy/known_hosts /etc/understudy/pair_hosts
			[ -e /etc/understudy/pair_ed25519 ] || ssh-keygen -q -t ed25519 -N '' -C "$1" -f /etc/understudy/pair_ed25519`, n.Name())
	}
	for _, n := range nodes {
		key := r.shell(t, n, `cat /etc/understudy/pair_ed25519.pub`)
		for _, other := range nodes {
			if other != n {
				r.shell(t, other, `echo "restrict,command=\"failover-notify gate\",from=\"$1\" $2" >>/root/.ssh/authorized_keys2`, n.Address(), key)
			}
		}
	}
}

// look finds the active node.
func (r *runbooks) look(t *testing.T) {
	t.Helper()
	states, err := r.Lab.States(r.ctx)
	r.must(t, err)
	for _, n := range []lab.Node{r.A, r.B} {
		if states[n.Name()] != lab.Running {
			continue
		}
		if s := r.state(t, n); s.Role.Role == state.RoleActive && s.Current() {
			r.active, r.standby = n, r.Other(n)
			return
		}
	}
}

// whole checks that the page leaves a healthy pair, with no help but the runs
// of each minute.
func (r *runbooks) whole(t *testing.T) {
	t.Helper()
	r.look(t)
	r.serves(t)
	r.idle(t, r.standby)
	r.ready(t)
	r.judge(t)
	r.kept(t)
	began := time.Now()
	o, err := StartRun(r.ctx, r.active).Wait()
	r.must(t, err)
	if o.Code != 0 {
		t.Fatalf("replication from %s ended with code %d:\n%s", r.active.Name(), o.Code, o.Stderr)
	}
	r.replicated = began
}
