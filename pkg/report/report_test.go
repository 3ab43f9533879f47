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

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		-1: "0 B", 0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 2_999: "2.9 KiB", 10_200: "10 KiB", 16 << 20: "16 MiB",
		3 << 29: "1.5 GiB", 1<<63 - 1: "8.0 EiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d bytes are %q, want %q", n, got, want)
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
