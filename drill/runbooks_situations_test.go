//go:build drill

package drill

import (
	"context"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/state"
)

// situations come in an order in which each page leaves the pair as the next
// page needs it, or with exchanged roles.
var situations = []situation{
	{page: "README.md", bring: func(*testing.T, *runbooks, string) {}},
	{page: "power-loss.md", bring: powerLost, hands: map[string]func(*testing.T, *runbooks){"switch on": switchOn}},
	{page: "failback.md", bring: movedAway},
	{page: "traefik-crash.md", bring: traefikDied},
	{page: "network-loss.md", bring: cutOff, hands: map[string]func(*testing.T, *runbooks){"plug in the cable": plugIn}},
	{page: "pool-failure.md", bring: poolFails, hands: map[string]func(*testing.T, *runbooks){"change the disk": changeDisk}},
	{page: "planned-maintenance.md", bring: primaryServes, hands: map[string]func(*testing.T, *runbooks){"switch on": switchOn}},
	{page: "load-test.md", bring: primaryServes, hands: map[string]func(*testing.T, *runbooks){"put the load on": putLoadOn, "take the load off": takeLoadOff}},
	{page: "restore-kept-tail.md", bring: keptSomething},
	{page: "conflict.md", bring: bothServe},
	{page: "replace-server.md", bring: serverGone, hands: map[string]func(*testing.T, *runbooks){"build the new server": newServer}},
	{page: "third-node.md", bring: thirdComes},
}

// primaryServes moves the services to the primary, the usual state.
func primaryServes(t *testing.T, r *runbooks, _ string) {
	if r.look(t); r.active != r.A {
		r.switched(t)
	}
}

// switched exchanges the roles.
func (r *runbooks) switched(t *testing.T) {
	t.Helper()
	r.shell(t, r.active, `failover-notify switchover >&2`)
	r.look(t)
	r.shell(t, r.active, `zfs-replicate run >&2`)
	r.whole(t)
}

// note is a file that only the failed node has.
const note = `echo "written last" >/tank/apps/app1/note; sync`

func powerLost(t *testing.T, r *runbooks, c string) {
	primaryServes(t, r, c)
	r.shell(t, r.A, note)
	pulled := time.Now()
	r.must(t, r.PullPlug(r.ctx, r.A))
	r.moved(t, pulled, 0)
}

func switchOn(t *testing.T, r *runbooks) {
	r.look(t)
	began := r.standby
	r.must(t, began.Start(r.ctx))
	r.booted(t, began)
}

// movedAway has the services on the secondary, and a healthy primary as the
// standby.
func movedAway(t *testing.T, r *runbooks, _ string) {
	if r.look(t); r.active == r.A {
		r.switched(t)
	}
}

func traefikDied(t *testing.T, r *runbooks, c string) {
	primaryServes(t, r, c)
	stopped := time.Now()
	r.shell(t, r.A, `docker stop -t 0 traefik`)
	r.moved(t, stopped, 0)
}

func cutOff(t *testing.T, r *runbooks, c string) {
	primaryServes(t, r, c)
	cut := time.Now()
	r.must(t, r.A.CutNetwork(r.ctx, lab.Both))
	r.moved(t, cut, 0)
	r.idle(t, r.A)
}

func plugIn(t *testing.T, r *runbooks) { r.must(t, r.A.RestoreNetwork(r.ctx)) }

// poolFails takes a disk from the primary's pool, which keeps serving.
func poolFails(t *testing.T, r *runbooks, c string) {
	primaryServes(t, r, c)
	r.shell(t, r.A, `echo "zpool degraded=tank" >/var/lib/zfssim/faults`)
}

func changeDisk(t *testing.T, r *runbooks) { r.shell(t, r.A, `rm /var/lib/zfssim/faults`) }

func putLoadOn(t *testing.T, r *runbooks) {
	r.look(t)
	r.load = r.puts("runbook")
	t.Cleanup(r.load.done.Wait) // also when the page fails before its end
}

func takeLoadOff(t *testing.T, r *runbooks) {
	r.look(t)
	r.keeps(t, r.ends(t, r.load))
}

// keptSomething leaves a node that lost power with a preserved copy of its
// unreplicated changes.
func keptSomething(t *testing.T, r *runbooks, c string) {
	powerLost(t, r, c)
	switchOn(t, r)
	r.judge(t)
	r.shell(t, r.A, `zfs-replicate rejoin --yes >&2`)
	r.shell(t, r.active, `zfs-replicate run >&2`)
	r.whole(t)
}

// bothServe cuts the nodes off from each other where no witness helps: split
// brain.
func bothServe(t *testing.T, r *runbooks, c string) {
	primaryServes(t, r, c)
	for _, n := range []lab.Node{r.A, r.B} {
		r.shell(t, n, `sed -i /^witness/d /etc/understudy/config.yaml`)
		r.must(t, lab.StopService(r.ctx, n, "watch"))
		r.must(t, lab.StartService(r.ctx, n, "watch"))
	}
	r.must(t, r.A.CutNetwork(r.ctx, lab.Both))
	r.awaitState(t, r.B, "a second active node", func(s NodeState) bool { return s.Role.Role == state.RoleActive && s.Current() })
	r.must(t, r.A.RestoreNetwork(r.ctx))
	r.idle(t, r.B)
	r.began = time.Now() // that both wrote is what this is about
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		for _, n := range []lab.Node{r.A, r.B} {
			r.must(t, WriteFile(ctx, n, "/etc/understudy/config.yaml", pairConfig))
			r.must(t, lab.StopService(ctx, n, "watch"))
			r.must(t, lab.StartService(ctx, n, "watch"))
		}
	})
}

func serverGone(t *testing.T, r *runbooks, c string) {
	primaryServes(t, r, c)
	r.must(t, r.PullPlug(r.ctx, r.B))
}

// newServer is a server of the same name and address, with the programs and a
// pool.
func newServer(t *testing.T, r *runbooks) {
	r.must(t, r.B.Start(r.ctx))
	r.booted(t, r.B)
	r.shell(t, r.B, `for s in keepalived watch; do "$(echo /etc/lab/boot.d/[0-9][0-9]-$s)" stop; done`)
	r.shell(t, r.B, `zfs unmount -a; zpool destroy -f tank; rm -rf /var/lib/understudy/* /run/understudy; `+bare)
	r.must(t, lab.MakePool(r.ctx, r.B, Pool, 1<<30))
	r.must(t, setServices(r.ctx, r.B))
}

// thirdComes starts on the third machine the services that a plain boot does
// not start.
func thirdComes(t *testing.T, r *runbooks, c string) {
	primaryServes(t, r, c)
	r.must(t, setServices(r.ctx, r.third))
}
