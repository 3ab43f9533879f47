package zfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/run"
)

// fake puts a shell script on PATH as zfs and zpool, and returns a ZFS that runs it.
func fake(t *testing.T, script string) *ZFS {
	t.Helper()
	bin := t.TempDir()
	for _, name := range []string{"zfs", "zpool"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	return New(run.New(zerolog.Nop()), 2*time.Second)
}

// The texts are what OpenZFS 2.3.9 prints.
func TestReasons(t *testing.T) {
	for _, c := range []struct {
		stderr, text string
		reason       Reason
	}{
		{"cannot receive incremental stream: destination tank/a has been modified\nsince most recent snapshot\n",
			"cannot receive incremental stream: destination tank/a has been modified since most recent snapshot", Modified},
		{"cannot receive incremental stream: most recent snapshot of tank/a does not\nmatch incremental source\n",
			"cannot receive incremental stream: most recent snapshot of tank/a does not match incremental source", Modified},
		{"cannot receive new filesystem stream: checksum mismatch or incomplete stream.\nPartially received snapshot is saved.\nA resuming stream can be generated on the sending system by running:\n    zfs send -t 1-abcdef-d0-789c\n",
			"cannot receive new filesystem stream: checksum mismatch or incomplete stream. Partially received snapshot is saved.", Incomplete},
		{"cannot receive new filesystem stream: out of space\n", "cannot receive new filesystem stream: out of space", NoSpace},
		{"cannot receive new filesystem stream: destination 'tank/a' exists\nmust specify -F to overwrite it\n",
			"cannot receive new filesystem stream: destination 'tank/a' exists must specify -F to overwrite it", Exists},
		{"cannot receive resume stream: kernel modules must be upgraded to receive this stream.\n",
			"cannot receive resume stream: kernel modules must be upgraded to receive this stream.", Unsupported},
		{"cannot receive new filesystem stream: pool must be upgraded to receive this stream.\n",
			"cannot receive new filesystem stream: pool must be upgraded to receive this stream.", Unsupported},
		{"cannot create bookmark 'tank/a#x': bookmark exists\n", "cannot create bookmark 'tank/a#x': bookmark exists", Exists},
		{"cannot open 'tank/a': dataset does not exist\n", "cannot open 'tank/a': dataset does not exist", Missing},
		{"cannot destroy snapshot tank/a@x: it's being held. Run 'zfs holds -r tank/a@x' to see holders.\n",
			"cannot destroy snapshot tank/a@x: it's being held. Run 'zfs holds -r tank/a@x' to see holders.", Busy},
		{"cannot create snapshots : permission denied\n", "cannot create snapshots : permission denied", Denied},
		{"The ZFS modules cannot be auto-loaded.\nTry running 'modprobe zfs' as root to manually load them.\n",
			"The ZFS modules cannot be auto-loaded. Try running 'modprobe zfs' as root to manually load them.", NoZFS},
		{"something new\n", "something new", ""},
	} {
		z := fake(t, "cat >&2 <<'END'\n"+c.stderr+"END\nexit 1\n")
		err := z.Snapshot(t.Context(), "tank/a@x")
		var e *Error
		if !errors.As(err, &e) || e.Text != c.text || e.Reason != c.reason {
			t.Errorf("%q\n becomes %#v\n want %q, %q", c.stderr, err, c.text, c.reason)
		}
		if c.reason != "" && !errors.Is(err, c.reason) {
			t.Errorf("errors.Is does not find %q in %v", c.reason, err)
		}
		// go-zfs's errors become the same.
		if err := z.SetProperty("tank/a", "compression", "lz4"); !errors.As(err, &e) || e.Text != c.text {
			t.Errorf("through go-zfs %q becomes %v", c.stderr, err)
		}
	}
}

func TestHangIsNamed(t *testing.T) {
	z := fake(t, "exec sleep 60\n")
	err := z.Snapshot(t.Context(), "tank/a@x")
	if err == nil || !strings.Contains(err.Error(), "zfs snapshot tank/a@x: no end after 2s: its deadline has passed") {
		t.Errorf("error is %v", err)
	}
}

func TestDatasets(t *testing.T) {
	z := fake(t, `case "$*" in
*"-t snapshot,bookmark"*)
	printf 'tank/a b#one\t11\t100\t-\n'
	printf 'tank/a b@two\t22\t200\t1\n'
	printf 'tank/a b@one\t11\t100\t0\n'
	printf 'tank/new@x\t1\t1\t0\n';;
*)
	printf 'tank/vol\tvolume\t8\t9\t0\t1\t2\t3\ttank/a b@one\toff\t-\t-\ton\t-\t-\t-\toff\t1-abc-12\tLce\ttank\n'
	printf 'tank/a b\tfilesystem\t18446744073709551615\t7\t4096\t1\t2\t3\t-\taes-256-gcm\tavailable\ttank/a b\toff\ton\tyes\t/tank/a b\tlz4\t-\t-\ttank/a b\n'
	echo "cannot open 'tank/gone': dataset does not exist" >&2
	exit 1;;
esac
`)
	datasets, err := z.Datasets(t.Context(), []Root{{Name: "tank", Recursive: true}, {Name: "tank/gone", Recursive: true}})
	if err != nil || len(datasets) != 2 {
		t.Fatalf("%v, %v", datasets, err)
	}
	a, vol := datasets[0], datasets[1]
	if a.Name != "tank/a b" || a.GUID != 18446744073709551615 || a.Written != 4096 || !a.Encrypted || !a.Mounted || !a.Container || a.Replica() {
		t.Errorf("%+v", a)
	}
	if len(a.Snapshots) != 3 || a.Snapshots[2].Full(a.Name) != "tank/a b@two" || a.Snapshots[2].Clones != 1 {
		t.Errorf("not in the order of createtxg: %+v", a.Snapshots)
	} else if a.Snapshots[0].Bookmark || !a.Snapshots[1].Bookmark || a.Snapshots[1].GUID != 11 {
		t.Errorf("a bookmark is not behind its snapshot: %+v", a.Snapshots)
	}
	if vol.Type != Volume || vol.Origin != "tank/a b@one" || vol.Encrypted || vol.Container || !vol.Replica() || vol.ResumeToken != "1-abc-12" {
		t.Errorf("%+v", vol)
	}
}

// snapshotRow is a zfs with one dataset and this row in its list of snapshots.
func snapshotRow(row string) string {
	return `case "$*" in
*snapshot*) printf '` + row + `\n';;
*) printf 'tank\tfilesystem\t8\t9\t0\t1\t2\t3\t-\toff\t-\t-\ton\t-\t-\t-\toff\t-\t-\t-\n';;
esac`
}

// The rows do not depend on the pieces in which zfs's output arrives.
func TestSnapshotsInPieces(t *testing.T) {
	text := "tank/a@one\t11\t100\t0\ntank/a@two\t22\t200\t3\ntank/b#x\t33\t300\t-\n"
	for size := 1; size <= len(text); size++ {
		s := snapshots{of: map[string][]Snap{}}
		for piece := range slices.Chunk([]byte(text), size) {
			if n, err := s.Write(piece); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
		}
		datasets := []Dataset{{Name: "tank/a"}, {Name: "tank/b"}}
		s.addTo(datasets)
		if got, want := fmt.Sprint(datasets[0].Snapshots, datasets[1].Snapshots, s.err), "[{one 11 100 0 false} {two 22 200 3 false}] [{x 33 300 0 true}] <nil>"; got != want {
			t.Errorf("in pieces of %d: %s, want %s", size, got, want)
		}
	}
}

func TestDatasetsFailure(t *testing.T) {
	for _, script := range []string{
		"echo \"cannot open 'tank': pool I/O is currently suspended\" >&2; exit 1",
		"printf 'tank\\tfilesystem\\n'",
		snapshotRow(`tank@a\t1\t2`),
		snapshotRow(`tank\t1\t2\t-`),
		snapshotRow(`tank@a\tx\t2\t-`),
		snapshotRow(`tank@a\t1\tx\t-`),
		snapshotRow(`tank@a\t1\t2\tx`),
		"printf 'tank\\tfilesystem\\tx\\t9\\t0\\t1\\t2\\t3\\t-\\toff\\t-\\t-\\ton\\t-\\t-\\t-\\toff\\t-\\t-\\t-\\n'",
	} {
		if datasets, err := fake(t, script).Datasets(t.Context(), []Root{{Name: "tank"}}); err == nil {
			t.Errorf("%s: no error, but %v", script, datasets)
		}
	}
}

// The output of "zfs send -nvt", also for a snapshot that is gone.
func TestDecodeToken(t *testing.T) {
	const contents = `resume token contents:
nvlist version: 0
	fromguid = 0x4b1d3f3a8a8a4b66
	object = 0x2
	offset = 0x3e0000
	bytes = 0x401340
	toguid = 0xd2b5a4e2a3f7c8f1
	toname = tank/a b@two
	embedok = 1
`
	want := Token{ToName: "tank/a b@two", ToGUID: 0xd2b5a4e2a3f7c8f1, FromGUID: 0x4b1d3f3a8a8a4b66, Bytes: 0x401340}
	for _, script := range []string{
		"cat <<'END'\n" + contents + "send from @one to tank/a b@two estimated size is 3.12M\nEND",
		"cat <<'END'\n" + contents + "END\necho \"cannot resume send: 'tank/a b@two' used in the initial send no longer exists\" >&2; exit 255",
	} {
		if got, err := fake(t, script).DecodeToken(t.Context(), "1-abc"); err != nil || got != want {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
	_, err := fake(t, "echo 'cannot resume send: resume token is corrupt (incorrect checksum)' >&2; exit 255").DecodeToken(t.Context(), "1-abc")
	if !errors.Is(err, ErrStaleToken) {
		t.Errorf("error is %v", err)
	}
}

func TestReceiveArgv(t *testing.T) {
	for _, c := range []struct {
		r    Receive
		want string
	}{
		{Receive{Dataset: "tank/a", Type: Filesystem, Flags: "Lce"}, "zfs receive -s -u -o readonly=on -o canmount=noauto -o understudy:stream=Lce tank/a"},
		{Receive{Dataset: "tank/v", Type: Volume, Flags: "Lc"}, "zfs receive -s -u -o readonly=on -o understudy:stream=Lc tank/v"},
		{Receive{Dataset: "tank/c", Type: Filesystem, Flags: "Lce", Origin: "tank/a@x", Set: map[string]string{"mountpoint": "/x"}},
			"zfs receive -s -u -o readonly=on -o canmount=noauto -o understudy:stream=Lce -o mountpoint=/x -o origin=tank/a@x tank/c"},
	} {
		if got := strings.Join(c.r.argv(), " "); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
		for _, arg := range c.r.argv() {
			if arg == "-F" {
				t.Error("a receive is forced")
			}
		}
	}
}

// Properties carry their sources, and missing roots are left out.
func TestProperties(t *testing.T) {
	z := fake(t, `case "$*" in "get -H -p -r -t filesystem,volume -o name,property,value,received,source readonly,understudy:demoted tank/a b tank/gone") ;; *) echo "called: $*" >&2; exit 2;; esac
	printf 'tank/a b\treadonly\ton\toff\tlocal\n'
	printf 'tank/a b\tunderstudy:demoted\t-\t-\t-\n'
	printf 'tank/a b/c\treadonly\ton\t-\tinherited from tank/a b\n'
	printf 'tank/a b/c\tunderstudy:demoted\tx=-\tx=-\treceived\n'
	echo "cannot open 'tank/gone': dataset does not exist" >&2
	exit 1
`)
	got, err := z.Properties(t.Context(), []string{"tank/a b", "tank/gone"}, "readonly", DemotedProperty)
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	a, c := got["tank/a b"]["readonly"], got["tank/a b/c"]["readonly"]
	if a.Local() != "on" || a.Received != "off" || a.From() != "" || c.Local() != "" || c.Value != "on" || c.From() != "tank/a b" {
		t.Errorf("%+v, %+v", a, c)
	}
	if mark := got["tank/a b/c"][DemotedProperty]; mark.Local() != "" || mark.Value != "x=-" {
		t.Errorf("%+v", mark)
	}
	if none := got["tank/a b"][DemotedProperty]; none != (Property{}) {
		t.Errorf("%+v", none)
	}
	for _, script := range []string{"echo 'cannot open: pool I/O is currently suspended' >&2; exit 1", "printf 'tank\treadonly\n'"} {
		if got, err := fake(t, script).Properties(t.Context(), []string{"tank"}, "readonly"); err == nil {
			t.Errorf("%s: no error, but %v", script, got)
		}
	}
}

// A call on several datasets continues after a failure; About finds its dataset.
func TestAbout(t *testing.T) {
	z := fake(t, `printf "cannot set property for 'tank/a': permission denied\ncannot open 'tank/b': dataset does not exist\n" >&2; exit 255`)
	err := z.Set(t.Context(), map[string]string{"readonly": "on", "canmount": "noauto"}, "tank/a", "tank/b", "tank/a/c")
	if a := About(err, "tank/a"); !errors.Is(a, Denied) || a.Error() != "cannot set property for 'tank/a': permission denied" {
		t.Errorf("tank/a: %v", a)
	}
	if b := About(err, "tank/b"); !errors.Is(b, Missing) {
		t.Errorf("tank/b: %v", b)
	}
	if c := About(err, "tank/a/c"); c != nil {
		t.Errorf("tank/a/c: %v", c)
	}
	hangs := fake(t, "exec sleep 60")
	if err := hangs.Revert(t.Context(), "readonly", "tank/a"); About(err, "tank/a") == nil {
		t.Errorf("%v is about no dataset", err)
	}
}

// A filesystem that is mounted and a key that is loaded are no errors.
func TestMountTwice(t *testing.T) {
	z := fake(t, `case "$1" in
mount) echo "cannot mount 'tank/a': filesystem already mounted" >&2; exit 1;;
load-key) echo "Key load error: Key already loaded for 'tank/a'." >&2; exit 255;;
esac`)
	if err := errors.Join(z.Mount(t.Context(), "tank/a"), z.LoadKey(t.Context(), "tank/a")); err != nil {
		t.Error(err)
	}
	z = fake(t, `echo "cannot mount 'tank/a': encryption key not loaded" >&2; exit 1`)
	if err := z.Mount(t.Context(), "tank/a"); !errors.Is(err, KeyMissing) {
		t.Errorf("error is %v", err)
	}
	if err := z.Unmount(t.Context(), "tank/a", t.TempDir()); err == nil || errors.Is(err, Busy) {
		t.Errorf("unmount of a plain folder: %v", err)
	}
}
