package session

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/replicate/prune"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// The lines in testdata/previous were recorded from the sender and the receiver of
// the previous release (commit b694dfd). Two nodes of different releases speak to
// each other when a line that is read here gives these values, and when these values
// written here give that line.
const maxGUID = zfs.GUID(18446744073709551615)

func previousCalls() []call {
	hello := Hello{operation{opHello}, 1, "v0.9.0", "a", state.RoleActive, 7, false}
	dry := hello
	dry.DryRun = true
	return []call{
		&hello,
		&inventoryCall{operation{opInventory}, []zfs.Root{{Name: "tank/data", Recursive: true}, {Name: "tank"}}},
		&renameCall{operation{opRename}, "tank/data/a", zfs.Volume, "tank/data/b", maxGUID},
		&abortCall{operation{opAbort}, "tank/data/c"},
		&containCall{operation{opContain}, "ssd", map[string]string{"compression": "zstd", "mountpoint": "/ssd"}},
		&pruneCall{operation{opPrune}, map[string]zfs.GUID{"tank/data": maxGUID, "tank/data/a": 5}, false},
		&pruneCall{operation{opPrune}, nil, true},
		&byeCall{operation{opBye}, true, map[string]string{"tank/data/x": "it was written to on the standby (3 bytes since @a)"}},
		&byeCall{operation{opBye}, false, nil},
		&Receive{operation: operation{opReceive}, Dataset: "tank/data", Type: zfs.Filesystem, GUID: maxGUID, Snapshot: "replicate-20261127T101112Z", TXG: 99, Origin: "tank/o@x", Flags: "Lce", Compress: "zstd"},
		&Receive{operation: operation{opReceive}, Dataset: "ssd/understudy-root", Type: zfs.Filesystem, GUID: 3, Snapshot: "x", Flags: "Lc", Set: map[string]string{"mountpoint": "/ssd"}},
		&dry,
	}
}

func previousReplies() []any {
	hello := &helloReply{Version: 1, Release: "v0.9.0", Node: "b", Role: state.RoleStandby, Term: 6, Time: time.Date(2026, 11, 27, 10, 11, 12, 345678901, time.UTC)}
	pruned := &pruneReply{Pruned: []prune.Result{{Dataset: "tank/data", Snapshots: []string{"replicate-20261127T101112Z"}, Bookmarks: []string{"x"}, Held: []string{"y"}, Error: "z"}}}
	bye := &byeReply{Processes: map[string]int{"zfs": 12}}
	warned := &ack{Warning: "cannot set property for 'tank/data': x"}
	return []any{
		hello,
		&inventoryLine{Dataset: &zfs.Dataset{Name: "tank/data", Type: zfs.Filesystem, GUID: maxGUID, CreateTXG: 7, Written: 8, Used: 9,
			Available: 10, Referenced: 11, Origin: "tank/o@x", Encrypted: true, KeyStatus: "available", ReadOnly: true, CanMount: "noauto",
			Mounted: true, Mountpoint: "/tank", Compression: "off", ResumeToken: "1-abc", StreamFlags: "Lce", Container: true, EncryptionRoot: "tank"},
			Snaps: []zfs.Snap{{Name: "a", GUID: maxGUID - 1, CreateTXG: 12, Clones: 2}, {Name: "b", GUID: 3, CreateTXG: 13, Bookmark: true}}},
		&inventoryLine{Snaps: []zfs.Snap{{Name: "c", GUID: 4, CreateTXG: 14}}},
		&inventoryLine{End: true},
		&ack{},
		&ack{Failure: &RemoteError{Node: "b", Text: "drop the partial receive of tank/data/c: zfs receive: out of space", Advice: "free some", Code: 1, Reason: zfs.NoSpace}},
		&ack{Failure: &RemoteError{Node: "b", Text: "no", Code: 76}},
		pruned, pruned, bye, bye, warned, warned, hello,
	}
}

func TestCallsOfThePreviousRelease(t *testing.T) {
	want := previousCalls()
	for i, line := range recorded(t, "calls", len(want)) {
		got, err := readCall(bufio.NewReader(strings.NewReader(line)))
		if err != nil || !reflect.DeepEqual(got, want[i]) {
			t.Errorf("%s  is read as %+v, %v; want %+v", line, got, err, want[i])
		}
		writesLine(t, want[i], line)
	}
}

func TestRepliesOfThePreviousRelease(t *testing.T) {
	want := previousReplies()
	for i, line := range recorded(t, "replies", len(want)) {
		got := reflect.New(reflect.TypeOf(want[i]).Elem()).Interface()
		if err := readLine(bufio.NewReader(strings.NewReader(line)), got); err != nil || !reflect.DeepEqual(got, want[i]) {
			t.Errorf("%s  is read as %+v, %v; want %+v", line, got, err, want[i])
		}
		writesLine(t, want[i], line)
	}
}

func recorded(t *testing.T, name string, count int) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/previous/" + name + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != count {
		t.Fatalf("%d lines, want %d", len(lines), count)
	}
	lines[count-1] += "\n"
	return lines
}

// writesLine expects a message to give a line to the byte.
func writesLine(t *testing.T, message any, want string) {
	t.Helper()
	var got bytes.Buffer
	if err := writeLine(&got, message); err != nil || got.String() != want {
		t.Errorf("%+v is written as %s, %v; want %s", message, got.String(), err, want)
	}
}

// Each call refuses the fields of the others.
func TestCallsRefuseForeignFields(t *testing.T) {
	for _, c := range previousCalls() {
		line, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		line = append(bytes.TrimSuffix(line, []byte("}")), []byte(`,"force":true}`+"\n")...)
		if _, err := readCall(bufio.NewReader(bytes.NewReader(line))); err == nil || !strings.Contains(err.Error(), `unknown field "force"`) {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, err := readCall(bufio.NewReader(strings.NewReader(`{"op":"abort","dataset":"a","roots":[]}` + "\n"))); err == nil {
		t.Error("an abort takes roots")
	}
}
