//go:build drill

package drill

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The load: the number of clients, and of the writes by each client to every
// application.
const (
	clients = 6
	writes  = 40
)

// hammer writes to every application through the virtual IP, from the standby,
// as fast as they answer. It prints the acknowledged writes.
const hammer = `
client() {
	local i app line
	for ((i = 0; i < $2; i++)); do
		for app in "${@:4}"; do
			{ exec 3<>"/dev/tcp/$3/80"; } 2>/dev/null || continue
			printf 'POST /%s/write?id=%s-%s-%s HTTP/1.0\r\n\r\n' "$app" "$1" "$app" "$i" >&3 || true
			read -r -t 10 line <&3 || line=
			exec 3>&-
			case "$line" in *" 200 "*) echo "$1-$app-$i" ;; esac
		done
	done
}
run=$1; shift
for ((c = 0; c < $1; c++)); do client "$run-$c" "${@:2}" & done
wait`

// underLoad lets the secondary serve many clients at a time and replicate
// meanwhile. A failover to a server that cannot bear this is worthless.
func underLoad(t *testing.T, d *takeover) {
	d.primaryActive(t)
	first := d.loaded(t, "primary")
	d.shell(t, d.active, `failover-notify switchover >&2`)
	d.active, d.standby = d.standby, d.active
	d.serves(t)
	d.replicate(t)
	second := d.loaded(t, "secondary")
	t.Logf("%.0f writes a second on the primary, %.0f on the secondary", first, second)
}

// load is the writing of clients to all applications during other actions.
type load struct {
	acked string // by what the clients say
	err   error
	took  time.Duration
	done  sync.WaitGroup
}

// puts starts the load on the active node, from the standby.
func (d *takeover) puts(name string) *load {
	run := fmt.Sprintf("%s%d", name, time.Now().UnixMilli())
	args := append([]string{run, strconv.Itoa(clients), strconv.Itoa(writes), VirtualIP}, d.Line.Projects...)
	l := &load{}
	ctx, from := d.ctx, d.standby
	l.done.Go(func() {
		began := time.Now()
		l.acked, l.err = Shell(ctx, from, hammer, args...)
		l.took = time.Since(began)
	})
	return l
}

// ends waits for the clients. Each of their writes must be acknowledged.
func (d *takeover) ends(t *testing.T, l *load) (ids []string) {
	t.Helper()
	l.done.Wait()
	d.must(t, l.err)
	ids = strings.Fields(l.acked)
	if want := clients * writes * len(d.Line.Projects); len(ids) != want {
		t.Errorf("%d of %d writes were acknowledged under load", len(ids), want)
	}
	return ids
}

// keeps checks that the active node has all of these writes.
func (d *takeover) keeps(t *testing.T, ids []string) {
	t.Helper()
	present := writesIn(d.shell(t, d.active, `cat /"$1"/*/log`, Apps))
	for _, id := range ids {
		if !present[id] {
			t.Errorf("%s was acknowledged and is missing", id)
		}
	}
}

// loaded puts load on the active node and replicates under it. Every write must
// be acknowledged, and both nodes must have every write in the end.
func (d *takeover) loaded(t *testing.T, name string) (perSecond float64) {
	t.Helper()
	l := d.puts(name)
	if o, err := StartRun(d.ctx, d.active).Wait(); err != nil || o.Code != 0 {
		t.Errorf("replication under load ended with %d, %v:\n%s", o.Code, err, o.Stderr)
	}
	ids := d.ends(t, l)
	d.replicate(t)
	d.judge(t)
	d.keeps(t, ids)
	for _, dataset := range d.datasets() {
		same(t, dataset+" on both", d.files(t, d.active, d.newest(t, d.active, dataset)), d.files(t, d.standby, d.newest(t, d.standby, dataset)))
	}
	return float64(len(ids)) / l.took.Seconds()
}
