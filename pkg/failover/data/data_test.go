package data_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/data"
)

// pair makes two servers with the same tree, replicated from a to b.
func pair(t *testing.T) (a, b *node) {
	t.Helper()
	tree := config.Dataset{Name: "tank/srv", Recursive: true, Exclude: []string{"tank/srv/tmp"}}
	a, b = newNode(t, "tank", tree), newNode(t, "tank", tree)
	a.zfs("create", "-o", "compression=lz4", "tank/srv")
	a.zfs("create", "tank/srv/db")
	a.zfs("create", "-o", "canmount=off", "tank/srv/group")
	a.zfs("create", "tank/srv/group/mail")
	a.zfs("create", "-o", "readonly=on", "tank/srv/archive")
	a.zfs("create", "-V", "16M", "tank/srv/disk")
	a.zfs("create", "tank/srv/tmp")
	a.write("one", "tank/srv/db/f")
	a.write("two", "tank/srv/group/mail/f")
	a.zfs("snapshot", "-r", "tank/srv@replicate-1")
	for _, name := range []string{"srv", "srv/archive", "srv/db", "srv/disk", "srv/group", "srv/group/mail"} {
		a.send(b, "tank/"+name+"@replicate-1", "", "tank/"+name)
	}
	return a, b
}

func TestTakeOver(t *testing.T) {
	_, b := pair(t)
	if r := b.promote(); r.Datasets != 6 || !strings.HasPrefix(r.Snapshot, "understudy-promoted-") {
		t.Errorf("%+v", r)
	}
	b.has("tank/srv readonly off default", "tank/srv/db readonly off default", "tank/srv/db canmount on default",
		"tank/srv/group canmount off received", "tank/srv/db mounted yes -", "tank/srv/group mounted no -",
		"tank/srv/archive readonly on received", "tank/srv/archive mounted yes -",
		"tank/srv/archive understudy:stream none local", "tank/srv/disk readonly off default")
	b.reads("one", "tank/srv/db/f")
	b.write("new", "tank/srv/group/mail/g")
	if left, _ := filepath.Glob(b.path("tank/srv/.understudy*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	// Once more: nothing to do, nothing done.
	if r := b.promote(); r.Snapshot != "" {
		t.Errorf("a second snapshot: %+v", r)
	}

	r := b.demote()
	if !r.Written || !strings.HasPrefix(r.Snapshot, "understudy-demoted-") {
		t.Errorf("%+v", r)
	}
	b.has("tank/srv readonly on local", "tank/srv/db canmount noauto local", "tank/srv/db mounted no -",
		"tank/srv/group canmount noauto local", "tank/srv/disk readonly on local",
		"tank/srv/db understudy:demoted readonly=-,canmount=- local")
	b.zfs("list", "tank/srv/group/mail@"+r.Snapshot)
	if again := b.demote(); again.Written || again.Snapshot != "" {
		t.Errorf("%+v", again)
	}

	b.promote()
	b.has("tank/srv readonly off default", "tank/srv/db canmount on default", "tank/srv/db understudy:demoted - -",
		"tank/srv/archive readonly on received", "tank/srv/group canmount off received", "tank/srv/db mounted yes -")
	b.reads("new", "tank/srv/group/mail/g")
}

// After a power loss every filesystem is mounted once; otherwise the snapshot of the
// last writes lacks its intent log.
func TestReplay(t *testing.T) {
	a, _ := pair(t)
	a.write("last", "tank/srv/db/last")
	fenced, err := a.data().Fence(t.Context())
	a.fine(fenced, err)
	for _, name := range []string{"tank/srv/group/mail", "tank/srv/db", "tank/srv/archive", "tank/srv"} {
		a.zfs("unmount", name)
	}
	a.calls = 1000 // all of them are logged
	result, err := a.data().Replay(t.Context())
	a.fine(result, err)
	if len(result.Warnings) > 0 {
		t.Errorf("%q", result.Warnings)
	}
	log, err := os.ReadFile(filepath.Join(a.dir, "bin", "log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tank/srv", "tank/srv/archive", "tank/srv/db", "tank/srv/group/mail"} {
		if !strings.Contains(string(log), "zfs mount "+name+"\n") {
			t.Errorf("%s was not mounted:\n%s", name, log)
		}
	}
	a.has("tank/srv mounted no -", "tank/srv/db mounted no -", "tank/srv/db readonly on local", "tank/srv/group mounted no -")
	if r := a.demote(); !r.Written {
		t.Errorf("%+v", r)
	}
}

// A stream from a node that has released the dataset carries readonly=on and
// canmount=noauto: a promotion must not apply them.
func TestSentAfterRelease(t *testing.T) {
	a, b := pair(t)
	a.zfs("destroy", "-r", "tank/srv/tmp")
	a.write("late", "tank/srv/db/late")
	r := a.demote()
	for _, name := range []string{"tank/srv/db", "tank/srv/archive", "tank/srv/group", "tank/srv/disk"} {
		if name != "tank/srv/db" {
			a.zfs("snapshot", name+"@"+r.Snapshot)
		}
		a.send(b, name+"@"+r.Snapshot, "@replicate-1", name)
	}
	b.promote()
	b.has("tank/srv/db readonly off local", "tank/srv/db mounted yes -", "tank/srv/db canmount on local",
		"tank/srv/archive readonly on local", "tank/srv/archive mounted yes -", "tank/srv/group canmount off local",
		"tank/srv/disk readonly off local")
	b.reads("late", "tank/srv/db/late")
	b.demote()
	b.promote()
	b.has("tank/srv/db readonly off local", "tank/srv/db mounted yes -", "tank/srv/group mounted no -")
}

// A boot claims the intent log of a released dataset, and ZFS counts that as written.
// It must not cause a snapshot, which would stop replication; a single written line
// must.
func TestClaimedLogIsNoWrite(t *testing.T) {
	a, _ := pair(t)
	a.zfs("destroy", "-r", "tank/srv/tmp")
	a.write("more", "tank/srv/db/f") // with a snapshot of the demotion; mail has none
	before := a.demote().Snapshot
	if before == "" {
		t.Fatal("nothing was written before")
	}
	boot := func() {
		t.Helper()
		a.faults("import claim dataset=tank/srv/db", "import claim dataset=tank/srv/group/mail")
		a.zpool("export", "tank")
		a.zpool("import", "-N", "tank")
		a.has("tank/srv/db written 1K -", "tank/srv/group/mail written 1K -")
	}
	boot()
	states, err := a.data().State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		if s.Written != 0 {
			t.Errorf("%s: %d bytes written", s.Name, s.Written)
		}
	}
	if r := a.demote(); r.Written || r.Snapshot != "" || len(r.Warnings) > 0 {
		t.Errorf("%+v", r)
	}
	a.has("tank/srv/db mounted no -", "tank/srv/group/mail mounted no -")

	// A dataset that can't be compared stays written.
	a.faults("send busy=tank/srv/group/mail", "mount fail=tank/srv/db")
	if r := a.demote(); !r.Written {
		t.Errorf("%+v", r)
	}
	if got := a.zfs("list", "-H", "-o", "name", "-t", "snapshot", "-r", "tank/srv/group/mail"); strings.Count(got, "@understudy-demoted-") != 1 {
		t.Errorf("mail has not one snapshot of its own: %s", got)
	}
	if got := a.zfs("list", "-H", "-o", "name", "-t", "snapshot", "-r", "tank/srv/db"); strings.Count(got, "@understudy-demoted-") != 1 {
		t.Errorf("the log of db was replayed before its snapshot: %s", got)
	}

	boot()
	a.faults()
	a.zfs("set", "readonly=off", "tank/srv/db")
	a.zfs("mount", "tank/srv/db")
	a.write("hi", "tank/srv/db/g")
	a.zfs("unmount", "tank/srv/db")
	if r := a.demote(); !r.Written || r.Snapshot == before {
		t.Errorf("a line is no write: %+v", r)
	}
}

// The node releases its datasets and takes over again: the properties that were set
// on the datasets themselves are set again, and no others.
func TestReleaseAndTakeOver(t *testing.T) {
	a, _ := pair(t)
	a.zfs("set", "canmount=noauto", "tank/srv/db") // mounted by hand
	a.zfs("set", "readonly=off", "tank/srv/group/mail")
	a.demoteButTmp()
	a.has("tank/srv/db understudy:demoted readonly=-,canmount=noauto,mounted=yes local",
		"tank/srv/archive understudy:demoted readonly=on,canmount=- local",
		"tank/srv/group understudy:demoted readonly=-,canmount=off local",
		"tank/srv/group/mail readonly on local",
		"tank/srv/tmp readonly off local", "tank/srv mounted yes -")
	a.promote()
	a.has("tank/srv/db canmount noauto local", "tank/srv/db mounted yes -", "tank/srv/db readonly off default",
		"tank/srv/archive readonly on local", "tank/srv/archive canmount on default",
		"tank/srv/group canmount off local", "tank/srv/group/mail readonly off local", "tank/srv/disk readonly off default")
}

// demoteButTmp demotes a server on which tank/srv stays mounted, since the
// excluded tank/srv/tmp is mounted below it.
func (n *node) demoteButTmp() {
	n.t.Helper()
	r, err := n.data().Demote(n.t.Context(), data.Unrecorded)
	if err != nil || len(r.Failed) > 0 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "/tank/srv/tmp is mounted below it") {
		n.t.Fatalf("%v, %+v", err, r)
	}
	n.has("tank/srv mounted yes -", "tank/srv/tmp mounted yes -", "tank/srv/db mounted no -")
	if err := os.WriteFile(n.path("tank/srv/no"), nil, 0o600); err == nil {
		n.t.Error("tank/srv can be written to")
	}
	n.write("x", "tank/srv/tmp/yes")
}

func TestFence(t *testing.T) {
	a, b := pair(t)
	for range 2 {
		r, err := a.data().Fence(t.Context())
		a.fine(r, err)
	}
	a.has("tank/srv readonly on local", "tank/srv/disk readonly on local", "tank/srv/archive readonly on local",
		"tank/srv/archive understudy:demoted readonly=-,canmount=- inherited from tank/srv", "tank/srv/db canmount on default", "tank/srv/tmp readonly off local")
	if err := os.WriteFile(a.path("tank/srv/db/no"), nil, 0o600); err == nil {
		t.Error("it can be written to")
	}
	a.demoteButTmp()
	a.promote()
	a.has("tank/srv readonly off default", "tank/srv/archive readonly on local", "tank/srv/db mounted yes -")
	a.write("x", "tank/srv/db/yes")

	before := b.zfs("get", "-H", "-r", "-o", "name,property,value,source", "readonly,canmount,understudy:demoted", "tank")
	r, err := b.data().Fence(t.Context())
	b.fine(r, err)
	if after := b.zfs("get", "-H", "-r", "-o", "name,property,value,source", "readonly,canmount,understudy:demoted", "tank"); after != before {
		t.Errorf("replicas were changed: %s", after)
	}
}

func TestMissing(t *testing.T) {
	b := newNode(t, "tank", config.Dataset{Name: "tank/here", Recursive: true}, config.Dataset{Name: "gone/x", Recursive: true})
	b.zfs("create", "tank/here")
	r, err := b.data().Promote(t.Context(), data.Unrecorded)
	var missing *data.MissingError
	if err != nil || r.Datasets != 2 || r.Usable() != 1 || len(r.Failed) != 1 || !errors.As(r.Failed[0].Err, &missing) {
		t.Errorf("%v, %+v", err, r)
	}
	states, err := b.data().State(t.Context())
	if err != nil || len(states) != 2 || !states[0].Writable || !states[0].Mounted || !states[1].Missing {
		t.Errorf("%v, %+v", err, states)
	}
}

// A promotion that is cancelled before any service has started leaves nothing
// behind: the other node continues replication.
func TestCancelledPromotion(t *testing.T) {
	a, b := pair(t)
	before := b.zfs("list", "-H", "-t", "snapshot", "-o", "name", "-r", "tank")
	began := time.Now()
	b.promote()
	b.demote()
	r, err := b.data().DropPromotionSnapshots(t.Context(), data.Unrecorded, began.Add(time.Hour))
	b.fine(r, err)
	if after := b.zfs("list", "-H", "-t", "snapshot", "-o", "name", "-r", "tank"); after == before {
		t.Error("snapshots of an earlier promotion are gone")
	}
	r, err = b.data().DropPromotionSnapshots(t.Context(), data.Unrecorded, began)
	b.fine(r, err)
	if after := b.zfs("list", "-H", "-t", "snapshot", "-o", "name", "-r", "tank"); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
	for _, name := range []string{"tank/srv", "tank/srv/db", "tank/srv/group/mail", "tank/srv/disk"} {
		if written := b.zfs("get", "-H", "-p", "-o", "value", "written", name); written != "0" {
			t.Errorf("%s bytes were written to %s", written, name)
		}
	}
	a.write("three", "tank/srv/db/f")
	a.zfs("snapshot", "tank/srv/db@replicate-2")
	a.send(b, "tank/srv/db@replicate-2", "@replicate-1", "tank/srv/db")
}

// A dataset that was written to during a cancelled promotion keeps its snapshots.
func TestCancelledPromotionWithWrites(t *testing.T) {
	_, b := pair(t)
	began := time.Now()
	b.promote()
	b.write("x", "tank/srv/db/late")
	r := b.demote()
	u, err := b.data().DropPromotionSnapshots(t.Context(), data.Unrecorded, began)
	b.fine(u, err)
	b.zfs("list", "tank/srv/db@"+r.Snapshot)
	if marks := b.zfs("list", "-H", "-t", "snapshot", "-o", "name", "-r", "tank/srv/db"); !strings.Contains(marks, "promoted") {
		t.Errorf("the promotion's snapshot is gone: %s", marks)
	}
	if marks := b.zfs("list", "-H", "-t", "snapshot", "-o", "name", "-r", "tank/srv/group"); strings.Contains(marks, "promoted") {
		t.Errorf("nothing was written to tank/srv/group/mail: %s", marks)
	}
}
