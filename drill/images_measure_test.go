//go:build drill && measure

package drill

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
)

// TestImagesMeasured measures image-sync against the usual alternatives, in
// turns on the same nodes: go test -tags drill,measure -run TestImagesMeasured
// -v ./drill
func TestImagesMeasured(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	d := newImagesDrill(t, ctx, classicStore)
	d.configure(t, func(c Config) { c.Set("images.stall", "1m") })
	d.afresh(t)
	var refs []string
	for i := range 40 {
		refs = append(refs, fmt.Sprintf("img%d:1", i))
		d.image(t, refs[i], 1000+i, small)
	}
	for i := range 20 {
		text := fmt.Sprintf("services: {one: {image: '%s/%s'}, two: {image: '%s/%s'}}\n", hub, refs[2*i], hub, refs[2*i+1])
		d.project(t, fmt.Sprintf("p%d", i), text)
	}
	const compose = `for f in "$1"/*/compose.yaml; do docker compose -f "$f" pull -q 2>/dev/null; done`
	took := func(script string, args ...string) float64 {
		began := time.Now()
		d.shell(t, d.a, script, args...)
		return time.Since(began).Seconds()
	}
	took(compose, Checkout)
	seed := 2000
	change := func() {
		for i := range 10 {
			d.image(t, refs[4*i], seed, 5_000_000)
			seed++
		}
	}
	var current, changed, copied []float64
	for range 5 {
		theirs, ours := took(compose, Checkout), took(`image-sync --update`)
		t.Logf("40 images, all current: docker compose pull %.2f s, image-sync %.2f s", theirs, ours)
		current = append(current, ours/theirs)
	}
	for range 5 {
		change()
		theirs := took(compose, Checkout)
		change()
		ours := took(`image-sync --update`)
		t.Logf("ten changed: docker compose pull %.2f s, image-sync %.2f s", theirs, ours)
		changed = append(changed, ours/theirs)
	}

	// Through the gate.
	d.afresh(t)
	refs = nil
	for i := range 5 {
		refs = append(refs, fmt.Sprintf("big%d:1", i))
		d.image(t, refs[i], 3000+i, 60_000_000)
	}
	d.apps(t, refs...)
	d.shell(t, d.a, `for ref in "$@"; do docker pull -q "$ref"; done`, prefixed(refs)...)
	d.must(t, lab.StopService(ctx, d.b, "registry"))
	const plain = `ssh -o BatchMode=yes -o UserKnownHostsFile=/etc/understudy/known_hosts -i /etc/understudy/id_ed25519 root@10.77.0.11 docker save "$@" | docker load -q >/dev/null`
	for range 5 {
		d.clear(t)
		began := time.Now()
		d.shell(t, d.b, plain, prefixed(refs)...)
		theirs := time.Since(began).Seconds()
		d.clear(t)
		began = time.Now()
		d.shell(t, d.b, `image-sync`)
		ours := time.Since(began).Seconds()
		d.same(t, refs...)
		t.Logf("300 MB over the gate: docker save | ssh docker load %.2f s, image-sync %.2f s", theirs, ours)
		copied = append(copied, theirs/ours)
	}
	median := func(v []float64) float64 { slices.Sort(v); return v[len(v)/2] }
	t.Logf("medians: current %.2f of the time, changed %.2f of the time, over the gate %.2f of the speed", median(current), median(changed), median(copied))
	if median(current) > 0.25 || median(changed) > 0.7 || median(copied) < 0.8 {
		t.Error("a goal was missed")
	}
}

func prefixed(refs []string) []string {
	var list []string
	for _, ref := range refs {
		list = append(list, strings.Join([]string{hub, ref}, "/"))
	}
	return list
}
