//go:build drill

package drill

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/drill/report"
	"github.com/understudy-ha/understudy/lab"
)

// scenario is an event on a site.
type scenario struct {
	name string
	do   func(*testing.T, *takeover)
	only lab.Kind // empty: both
}

// scenarios come in an order that needs few moves between them. On virtual
// machines, where each takes minutes, only those run that depend on real ZFS,
// the real Traefik or a real boot.
var scenarios = []scenario{
	{"keepalived ended", keepalivedEnded, lab.NS},
	{"switchover", switchover, ""},
	{"an engine that refuses old versions", engineRefusesOld, lab.NS},
	{"planned stop of keepalived", plannedStop, lab.NS},
	{"reboot of the active node", rebooted, lab.NS},
	{"SIGHUP", reload, lab.NS},
	{"hooks in the wrong order", hooksInWrongOrder, lab.NS},
	{"Traefik exited", traefikExited, ""},
	{"Traefik paused", traefikPaused, lab.NS},
	{"Traefik answers 5xx", traefikBroken, lab.NS},
	{"dockerd frozen, then the node held", dockerFrozen, lab.NS},
	{"dockerd dead, then the node held", dockerDead, lab.NS},
	{"dockerd killed and started again", dockerRestarted, lab.NS},
	{"pool suspended", poolSuspended, lab.VM},
	{"keepalived's parent killed", parentKilled, lab.NS},
	{"keepalived's child killed", childKilled, lab.NS},
	{"keepalived killed at once", keepalivedKilled, lab.NS},
	{"the check deleted", checkDeleted, lab.NS},
	{"the check insecure", checkInsecure, lab.NS},
	{"a promotion that fails", promotionFails, lab.NS},
	{"three flaps", flaps, lab.NS},
	{"keepalived stopped during a promotion", stoppedWhilePromoting, lab.NS},
	{"keepalived killed during a promotion", killedWhilePromoting, lab.NS},
	{"cable pulled", cablePulled, lab.NS},
	{"power pulled, the primary returns", powerPulled, ""},
	{"power pulled, the port forwards late", powerPulledPortLate, lab.NS},
	{"power pulled, Docker revives", revived, lab.NS},
	{"both cold-booted, the standby first", coldBoot, ""},
}

// TestTakeover runs the scenarios on one site. Each leaves a healthy pair with
// an up-to-date standby.
func TestTakeover(t *testing.T) {
	if Kind() == lab.VM && os.Getenv("UNDERSTUDY_TAKEOVER") == "" {
		t.Log("takeovers on virtual machines are run by themselves: make takeover LAB=vm; in software emulation they need a quiet machine and, with what is given back, up to three hours")
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute)
	defer cancel()
	d := newTakeover(t, ctx)
	defer d.report(t)
	d.goThrough(t, ctx, scenarios)
}

// goThrough runs scenarios. Each leaves the site healthy.
func (d *takeover) goThrough(t *testing.T, ctx context.Context, list []scenario) {
	for _, s := range list {
		if s.only != "" && s.only != Kind() {
			continue
		}
		ok := t.Run(s.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
			defer cancel()
			d.begins(t, ctx, s.name)
			s.do(t, d)
			d.judge(t)
			d.happened()
			d.heal(t)
			d.judge(t)
			t.Logf("%.1f s", time.Since(d.began).Seconds())
		})
		if !ok {
			d.recover(t, ctx)
		}
	}
}

// report prints the measurements, also after failures.
func (d *takeover) report(t *testing.T) {
	if err := report.PrintTable(os.Stdout, d.results); err != nil {
		t.Error(err)
	}
}

func newTakeover(t *testing.T, ctx context.Context) *takeover {
	t.Helper()
	programs, err := BuildSite(ctx, Kind(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return startTakeover(t, ctx, programs)
}

// startTakeover starts a site with those programs.
func startTakeover(t *testing.T, ctx context.Context, programs SitePrograms) *takeover {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("the drill makes network namespaces, which needs root: sudo make drill")
	}
	began := time.Now()
	s, err := SiteUp(ctx, SiteOptions{Kind: Kind(), Programs: programs, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Down(); err != nil {
			t.Error(err)
		}
	})
	d := &takeover{Site: s, ctx: ctx, name: "first start", began: began, active: s.A, standby: s.B, lost: map[string]bool{}, tail: map[string]bool{}}
	done := false
	defer func() {
		if !done {
			d.explain(t)
		}
	}()
	d.must(t, s.StartServices(ctx))
	d.serves(t)
	d.heal(t)
	done = true
	t.Logf("site of two %s nodes up in %.1f s", Kind(), time.Since(began).Seconds())
	return d
}

// atMost returns a limit of time. An emulated machine gets several times as
// much.
func atMost(d time.Duration) time.Duration {
	if Kind() == lab.VM {
		return 4 * d
	}
	return d
}
