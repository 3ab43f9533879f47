package keepalived

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRunning(t *testing.T) {
	for name, c := range map[string]struct {
		stats map[string]string
		want  bool
	}{
		"none":          {map[string]string{"1": "1 (init) S 0"}, false},
		"one":           {map[string]string{"1": "1 (init) S 0", "77": "77 (keepalived) S 1"}, true},
		"stopped":       {map[string]string{"77": "77 (keepalived) T 1"}, true},
		"zombie":        {map[string]string{"77": "77 (keepalived) Z 1"}, false},
		"similar names": {map[string]string{"7": "7 (keepalived-x) S 1", "8": "8 (a) (keepalived) S 1"}, false},
		"no process":    {map[string]string{"self": "9 (keepalived) S 1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			proc := t.TempDir()
			for pid, stat := range c.stats {
				if err := os.MkdirAll(filepath.Join(proc, pid), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(proc, pid, "stat"), []byte(stat+" 0 0\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			// A process that has ended since the folder was listed.
			if err := os.Mkdir(filepath.Join(proc, "99"), 0o755); err != nil {
				t.Fatal(err)
			}
			if have, err := process(proc); (have != "") != c.want || err != nil {
				t.Errorf("%q, error %v", have, err)
			}
		})
	}
	if _, err := process(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing /proc is no error")
	}
}
