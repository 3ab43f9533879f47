package report

import (
	"strings"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                       "0s",
		250 * time.Microsecond:  "0s",
		12 * time.Millisecond:   "12ms",
		1449 * time.Millisecond: "1.4s",
		125 * time.Second:       "2m5s",
		7500 * time.Second:      "2h5m",
		73 * time.Hour:          "3d1h",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%d ns is %q, want %q", d, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := Table(&b, [][]string{{"A", "LONGER", ""}, {"aaaa", "b", ""}}); err != nil {
		t.Fatal(err)
	}
	if want := "A     LONGER\naaaa  b\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
