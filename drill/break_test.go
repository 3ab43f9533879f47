//go:build drill

package drill

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
)

// noticeLimit is the time in which a node must notice that the other node is
// silent, with default timeouts.
const noticeLimit = 45 * time.Second

const (
	sender    = `^zfs-replicate run`
	receiver  = `^(/[^ ]*/)?zfs-replicate receiver`
	receiving = `^(/[^ ]*/)?zfs receive`
)

const lost = `connection to b lost: .*`

func senderKilled(t *testing.T, d *drill) {
	for _, at := range []int64{1, 5 << 20, 14 << 20} {
		d.broken(t, at, nil, func() { d.kill(t, d.A, sender) })
		if at > 1 {
			d.resumes(t)
		} else {
			d.converges(t)
		}
	}
}

func senderInterrupted(t *testing.T, d *drill) {
	o, took := d.broken(t, 5<<20, nil, func() { d.shell(t, d.A, `kill -INT "$(pgrep -of "$1")"`, sender) })
	if o.Code != 130 || took > 10*time.Second {
		t.Errorf("an interrupted run ended with code %d after %s", o.Code, took)
	}
	d.resumes(t)
}

func receiverKilled(t *testing.T, d *drill) {
	o, _ := d.broken(t, 8<<20, nil, func() { d.kill(t, d.B, receiver) })
	fails(t, o, 3, `.*b.*`, `.*`)
	others(t, o, big)
	d.resumes(t)
}

func zfsReceiveKilled(t *testing.T, d *drill) {
	o, _ := d.broken(t, 8<<20, nil, func() { d.kill(t, d.B, receiving) })
	fails(t, o, 3, big+`: on b: receive into tank/big: .*`, `.*`)
	others(t, o, big)
	d.resumes(t)
}

func linkCut(t *testing.T, d *drill) {
	o, took := d.broken(t, 6<<20, nil, func() { d.must(t, d.B.CutNetwork(d.ctx, lab.Both)) })
	t.Logf("the sender noticed after %.1f s", took.Seconds())
	if took > noticeLimit {
		t.Errorf("that is more than %s", noticeLimit)
	}
	more := d.gone(t, d.B, noticeLimit-min(took, noticeLimit)+time.Second)
	t.Logf("the receiver was gone %.1f s after that", more.Seconds())
	d.must(t, d.B.RestoreNetwork(d.ctx))
	fails(t, o, 3, lost, `the next run resumes the streams; .*`)
	d.resumes(t)
}

func linkCutOneWay(t *testing.T, d *drill) {
	for _, direction := range []lab.Direction{lab.In, lab.Out} {
		stall := func(c Config) { c.Set("replication.timeouts.stall", "6s") }
		o, took := d.broken(t, 6<<20, stall, func() { d.must(t, d.B.CutNetwork(d.ctx, direction)) })
		t.Logf("cut %s: the sender noticed after %.1f s, with a stall of 6s", direction, took.Seconds())
		if took > 9*time.Second+slack() {
			t.Errorf("that is too long")
		}
		d.gone(t, d.B, 9*time.Second+slack())
		d.must(t, d.B.RestoreNetwork(d.ctx))
		fails(t, o, 3, lost, `the next run resumes the streams; .*`)
		d.resumes(t)
	}
}

func plugPulled(t *testing.T, d *drill) {
	stall := func(c Config) { c.Set("replication.timeouts.stall", "8s") }
	// The kernel of an ns node closes its connections; a machine without power
	// does not.
	o, took := d.broken(t, 10<<20, stall, func() {
		d.must(t, d.B.CutNetwork(d.ctx, lab.Both))
		d.must(t, d.B.PullPlug(d.ctx))
	})
	t.Logf("the sender noticed after %.1f s, with a stall of 8 s", took.Seconds())
	if took > 20*time.Second+slack() {
		t.Error("the sender noticed too late")
	}
	fails(t, o, 3, lost, `the next run resumes the streams; .*`)
	o = d.run(t)
	fails(t, o, 1, `ssh to 10.77.0.12: no (answer|route)`, `see that the node is up and its network reaches this node \('ping 10.77.0.12'\)`)
	d.must(t, d.B.RestoreNetwork(d.ctx))
	d.must(t, d.B.Start(d.ctx))
	// The data of the last seconds was in memory only: if all of it is lost,
	// there is nothing to resume.
	d.converges(t)
}

func standbyFull(t *testing.T, d *drill) {
	d.must(t, d.Configure(d.ctx, nil))
	d.write(t, big, 60<<20)
	d.shell(t, d.A, `echo more >>/tank/small/file`)
	if Kind() == lab.NS {
		d.shell(t, d.B, `echo "receive nospace-after=4000000 dataset=tank/big" >/var/lib/zfssim/faults`)
	} else {
		d.shell(t, d.B, `free=$(zfs list -Hpo avail tank); zfs create -o canmount=noauto -o "reservation=$((free - 30000000))" tank/hog`)
	}
	o := d.run(t)
	fails(t, o, 3, big+`: on b: receive into tank/big: .*(out of space|No space left on device).* \(pool tank: .* free of .*\)`, `.*`)
	others(t, o, big)
	if Kind() == lab.NS {
		d.shell(t, d.B, `rm /var/lib/zfssim/faults`)
	} else {
		d.shell(t, d.B, `zfs destroy tank/hog`)
	}
	d.converges(t)
	d.write(t, big, 1<<20) // room for the others
}

// vanish destroys a snapshot and a dataset while the run still has to send
// them.
func vanish(t *testing.T, d *drill) {
	d.shell(t, d.A, `zfs create tank/big2; zfs create tank/big3`)
	d.converges(t)
	d.must(t, d.Configure(d.ctx, func(c Config) { slow(c); c.Set("replication.parallel", 1) }))
	names := []string{"tank/big", "tank/big2", "tank/big3"}
	for _, name := range names {
		d.write(t, name, 12<<20)
	}
	run := StartRun(d.ctx, d.A)
	d.must(t, AwaitBytes(d.ctx, d.A, 4<<20))
	// Their order is not defined.
	text := d.shell(t, d.A, `pgrep -af '^(/[^ ]*/)?zfs send' | head -1; zfs list -Ht snapshot -o name -s createtxg -r tank | grep replicate`)
	sending, snapshots, _ := strings.Cut(text, "\n")
	var waiting []string
	for _, name := range names {
		if !strings.Contains(sending, name+"@") {
			waiting = append(waiting, name)
		}
	}
	if len(waiting) != 2 {
		t.Fatalf("with parallel 1, %q is being sent", sending)
	}
	newest := ""
	for line := range strings.Lines(snapshots) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, waiting[0]+"@") {
			newest = line
		}
	}
	d.shell(t, d.A, `zfs destroy "$1"; zfs destroy -r "$2"`, newest, waiting[1])
	o, err := run.Wait()
	d.must(t, err)
	fails(t, o, 3, `2 of \d+ datasets are not replicated; the first: .*does not exist.*`, `.*`)
	others(t, o, waiting...)
	// The standby keeps what was destroyed on the source.
	d.converges(t)
	d.shell(t, d.B, `zfs list "$1" >/dev/null`, waiting[1])
	d.shell(t, d.A, `for d in big2 big3; do zfs destroy -r "tank/$d" 2>/dev/null || true; done; zfs list tank/big >/dev/null 2>&1 || zfs create tank/big`)
	d.shell(t, d.B, `for d in big2 big3; do zfs destroy -r "tank/$d" 2>/dev/null || true; done`)
	if waiting[1] == big {
		d.shell(t, d.B, `zfs destroy -r tank/big`)
	}
	d.converges(t)
}

func twoRuns(t *testing.T, d *drill) {
	d.broken(t, 4<<20, nil, func() {
		pid := d.shell(t, d.A, `pgrep -of "$1"`, sender)
		fails(t, d.run(t), 75, `.*process `+pid+` .*`, `wait for it to end.*`)
		d.kill(t, d.A, sender)
	})
	d.resumes(t)
}

// zfsHangs puts a zfs first on PATH that never returns from some commands.
func zfsHangs(t *testing.T, d *drill) {
	hang := func(t *testing.T, n lab.Node, command string) {
		d.sideFile(t, n, "/usr/local/sbin/zfs", "#!/bin/sh\nif [ \"$1\" = "+command+" ]; then exec sleep 1000; fi\nexec /usr/sbin/zfs \"$@\"\n")
	}
	for _, c := range []struct {
		name, command string
		node          lab.Node
		code          int
		says          string
	}{
		{"listing here", "list", d.A, 1, `.*zfs list.*(3s|deadline).*`},
		{"listing there", "list", d.B, 1, `.*on b: .*zfs list.*(3s|deadline).*`},
		{"sending", "send", d.A, 3, `tank/big: .*tank/big@.*: no byte has moved for 4s: its deadline has passed`},
		{"receiving", "receive", d.B, 3, `tank/big: .*no byte has moved for 4s: its deadline has passed`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.must(t, d.Configure(d.ctx, func(c Config) {
				timeouts := Config{"zfs": "3s", "snapshot": "20s", "stream": "4s"}
				if Kind() == lab.VM {
					timeouts["zfs"] = "8s"
				}
				c.Set("replication.timeouts", timeouts)
			}))
			d.shell(t, d.A, `head -c 9000000 /dev/urandom >/tank/big/data; sync`)
			hang(t, c.node, c.command)
			o := d.run(t)
			fails(t, o, c.code, c.says, `.*`)
			if o.Took > 40*time.Second {
				t.Errorf("it took %s", o.Took)
			}
			d.shell(t, c.node, `rm /usr/local/sbin/zfs`)
			d.atRest(t)
		})
	}
	d.converges(t)
}

// killedTwentyTimes kills the sender at random moments while files are written.
func killedTwentyTimes(t *testing.T, d *drill) {
	d.must(t, d.Configure(d.ctx, nil))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	longest := 900
	if Kind() == lab.VM {
		longest = 8_000
	}
	d.shell(t, d.A, `cat >/run/kill-loop <<'END'
#!/bin/bash
# Writes a little, starts a run and kills it after each of the milliseconds.
for ms; do
	head -c 700000 /dev/urandom >"/tank/big/part-$((RANDOM % 9))"
	echo "$ms" >>"/tank/two words/log"
	zfs-replicate run >/dev/null 2>&1 & pid=$!
	sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
	kill -9 "$pid" 2>/dev/null; wait "$pid" 2>/dev/null
done
exit 0
END
chmod +x /run/kill-loop`)
	argv := []string{"/run/kill-loop"}
	for range 20 {
		argv = append(argv, fmt.Sprint(20+random.IntN(longest)))
	}
	if _, err := Run(d.ctx, d.A, argv...); err != nil {
		t.Fatal(err)
	}
	d.converges(t)
}
