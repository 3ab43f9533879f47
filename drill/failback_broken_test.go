//go:build drill

package drill

import (
	"strings"
	"testing"
	"time"

	"al.essio.dev/pkg/shellescape"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/state"
)

// broken is a defect of the peer of a switchover.
type broken struct {
	name  string
	plant func(*testing.T, *takeover)
	fix   func(*testing.T, *takeover)
	code  int
	says  string // on stderr
	hint  string
}

// refuse makes the standby refuse every ssh connection from the other node. The
// lab's own connections use another network.
const refuse = `iptables -I INPUT -i eth0 -p tcp --dport 22 -j REJECT --reject-with tcp-reset`

// full fills a node's pool: on the simulator by these faults, on real ZFS by a
// dataset that takes all free space. Running programs may need a little space,
// so the second attempt takes less.
func full(faults ...string) string {
	if Kind() == lab.NS {
		return "printf '%s\\n' " + shellescape.QuoteCommand(faults) + " >/var/lib/zfssim/faults"
	}
	return `zfs create -o mountpoint=none ` + filler + `
		for less in 0 64 128 256 512 1024 2048; do
			free=$(zfs get -Hp -o value available ` + filler + `)
			zfs set reservation=$((free - less * 1024)) ` + filler + ` 2>/dev/null || continue
			zpool sync ` + Pool + `
			exit 0
		done
		echo 'the pool can not be filled' >&2; exit 1`
}

// room undoes full.
func room() string {
	if Kind() == lab.NS {
		return `rm -f /var/lib/zfssim/faults`
	}
	return `! zfs list ` + filler + ` >/dev/null 2>&1 || zfs destroy ` + filler
}

const filler = Pool + "/filler"

var brokenPeers = []broken{
	{
		name:  "docker dead",
		plant: func(t *testing.T, d *takeover) { d.must(t, lab.KillService(d.ctx, d.standby, "docker")) },
		fix:   func(t *testing.T, d *takeover) { d.must(t, lab.StartService(d.ctx, d.standby, "docker")) },
		code:  76, says: "Docker Engine", hint: "see that the Docker Engine runs",
	}, {
		name:  "held",
		plant: func(t *testing.T, d *takeover) { d.shell(t, d.standby, `failover-notify hold --reason 'new disks'`) },
		fix:   func(t *testing.T, d *takeover) { d.shell(t, d.standby, `failover-notify release`) },
		code:  76, says: "held: new disks", hint: "failover-notify status",
	}, {
		name: "pool full",
		plant: func(t *testing.T, d *takeover) {
			d.shell(t, d.standby, full(`receive nospace-after=1`))
			d.afterwards(t, d.standby, room())
			d.shell(t, d.active, `head -c 3M /dev/urandom >/"$1"/more; sync`, d.datasets()[0])
		},
		fix:  func(t *testing.T, d *takeover) { d.shell(t, d.standby, room()) },
		code: 1, says: "nothing has been stopped", hint: "free space on that pool",
	}, {
		name: "pool fails while the rest is sent",
		plant: func(t *testing.T, d *takeover) {
			// The first send, while the services run, must succeed.
			watch := `until grep -q '"role": "demoting"' /var/lib/understudy/role.json; do sleep 0.05; done`
			node, peer := d.active, d.standby
			done := make(chan error, 1)
			go func() {
				_, err := Shell(d.ctx, node, watch)
				if err == nil {
					_, err = Shell(d.ctx, peer, full(`receive busy`, `receive die-after=1`))
				}
				done <- err
			}()
			t.Cleanup(func() {
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
			d.afterwards(t, peer, room())
		},
		fix:  func(t *testing.T, d *takeover) { d.shell(t, d.standby, room()) },
		code: 1, says: "everything runs here again", hint: "",
	}, {
		name: "ssh refused",
		plant: func(t *testing.T, d *takeover) {
			d.shell(t, d.standby, refuse)
			d.afterwards(t, d.standby, strings.Replace(refuse, " -I ", " -D ", 1)+" 2>/dev/null || true")
		},
		fix: func(t *testing.T, d *takeover) {
			d.shell(t, d.standby, strings.Replace(refuse, " -I ", " -D ", 1))
		},
		code: 76, says: "can't be reached", hint: "check ssh",
	}, {
		name: "Traefik's image missing",
		plant: func(t *testing.T, d *takeover) {
			d.shell(t, d.standby, `docker rm -f traefik || true; docker rmi -f traefik:lab`)
		},
		fix: func(t *testing.T, d *takeover) {
			d.must(t, lab.LoadImage(d.ctx, d.standby, d.programs.images.traefik))
		},
		code: 76, says: "it lacks images: traefik:lab", hint: "pull them there",
	}, {
		name:  "keepalived dead",
		plant: func(t *testing.T, d *takeover) { d.must(t, lab.KillService(d.ctx, d.standby, "keepalived")) },
		fix:   func(t *testing.T, d *takeover) { d.must(t, lab.StartService(d.ctx, d.standby, "keepalived")) },
		code:  76, says: "keepalived does not run", hint: "fix that first",
	}, {
		name: "dies in the middle of the handover",
		plant: func(t *testing.T, d *takeover) {
			if Kind() == lab.NS {
				// Time to die in: between the stop of the services and the last
				// send.
				d.shell(t, d.active, `echo 'snapshot delay=1500ms' >/var/lib/zfssim/faults`)
				d.afterwards(t, d.active, `rm -f /var/lib/zfssim/faults`)
			}
			node, peer := d.active, d.standby
			done := make(chan error, 1)
			go func() {
				_, err := Shell(d.ctx, node, `until grep -q '"role": "demoting"' /var/lib/understudy/role.json; do sleep 0.05; done`)
				if err == nil {
					err = d.PullPlug(d.ctx, peer)
				}
				done <- err
			}()
			t.Cleanup(func() {
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		},
		fix: func(t *testing.T, d *takeover) {
			d.shell(t, d.active, room())
			d.wake(t, d.standby)
		},
		code: 1, says: "everything runs here again", hint: "",
	},
}

// peerBroken tries switchovers to a peer with each defect. A switchover is
// refused or undone, and says what to do.
func peerBroken(t *testing.T, d *takeover) {
	for _, b := range brokenPeers {
		ok := t.Run(b.name, func(t *testing.T) {
			began := time.Now()
			before := d.state(t, d.active)
			b.plant(t, d)
			result := d.tries(t, d.active, "failover-notify", "switchover")
			if result.Code != b.code || !strings.Contains(result.Stderr, b.says) || !strings.Contains(result.Stderr, "hint: ") || !strings.Contains(result.Stderr, b.hint) {
				t.Errorf("it ended with %d, and said:\n%s\nwant %d, %q and the hint %q", result.Code, result.Stderr, b.code, b.says, b.hint)
			}
			d.serves(t)
			if after := d.state(t, d.active); !after.Shown || b.code == 76 && after.Role.Term != before.Role.Term {
				t.Errorf("%s was %s and is %s", d.active.Name(), before, after)
			}
			d.lostNothing(t)
			b.fix(t, d)
			d.awaitState(t, d.standby, "a standby", func(s NodeState) bool { return s.Role.Role == state.RoleStandby && s.Shown })
			t.Logf("%.1f s", time.Since(began).Seconds())
		})
		if !ok {
			return // the site may be anything now
		}
	}
}
