package metrics

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWriteReplacesTheFileAsAWhole(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 {
		set := New(Lag)
		set.Add("understudy_lag_seconds", float64(i)+0.5, "a", "b", `tank/"x"\`)
		set.Bool("understudy_lag_asked", i == 1, "b")
		set.Time("understudy_lag_last_run_timestamp_seconds", time.UnixMilli(1790000000250))
		set.Time("understudy_lag_pair_level", time.Time{})
		if err := set.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || files[0].Name() != "understudy_lag.prom" {
		t.Fatalf("%v, %v", files, err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "understudy_lag.prom"))
	if err != nil {
		t.Fatal(err)
	}
	want := `# HELP understudy_lag_asked Whether the nodes could be compared; else the lag is what was known last.
# TYPE understudy_lag_asked gauge
understudy_lag_asked{standby="b"} 1
# HELP understudy_lag_last_run_timestamp_seconds When lag-check ran last.
# TYPE understudy_lag_last_run_timestamp_seconds gauge
understudy_lag_last_run_timestamp_seconds 1.79000000025e+09
# HELP understudy_lag_seconds Age of the newest common snapshot of a dataset that was written to since; else 0.
# TYPE understudy_lag_seconds gauge
understudy_lag_seconds{source="a",standby="b",dataset="tank/\"x\"\\"} 1.5
`
	if string(got) != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if info, err := files[0].Info(); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v: node_exporter runs as another user", info.Mode())
	}
	if err := Remove(dir, Lag); err != nil {
		t.Fatal(err)
	}
	if err := Remove(dir, Lag); err != nil {
		t.Errorf("removed twice: %v", err)
	}
}

func TestOnlyWhatIsInTheTableIsWritten(t *testing.T) {
	for _, add := range []func(*Set){
		func(s *Set) { s.Add("understudy_nonsense", 1) },
		func(s *Set) { s.Add("understudy_term", 1) }, // of another file
		func(s *Set) { s.Add("understudy_lag_level", 1) },
		func(s *Set) { s.Add("understudy_lag_level", 1, "b", "c") },
	} {
		set := New(Lag)
		add(set)
		if err := set.Write(t.TempDir()); err == nil || !strings.Contains(err.Error(), "table") {
			t.Errorf("%v", err)
		}
	}
}

func TestNoFolder(t *testing.T) {
	if err := New(Lag).Write(""); err != nil {
		t.Error(err)
	}
	err := New(Lag).Write("/nowhere/at/all")
	if e, ok := err.(*WriteError); !ok || e.Hint() == "" {
		t.Errorf("%v", err)
	}
}

// node_exporter reads the file as another user, also where root's umask is 077.
func TestOthersMayReadTheFile(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := t.TempDir()
	if err := New(Lag).Write(dir); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "understudy_lag.prom"))
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
