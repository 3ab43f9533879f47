package report

import "testing"

func TestNagiosLine(t *testing.T) {
	got := NagiosLine("LAG", "warning", "one | two\nthree", []Perf{
		{Label: "b's lag", Value: 12.5, Unit: "s", Warning: "1200", Critical: "3600"},
		{Label: "n", Value: 3},
	})
	want := "LAG WARNING - one / two three | 'b''s lag'=12.5s;1200;3600;0 'n'=3;;;0"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := NagiosLine("LAG", "ok", "x", nil); got != "LAG OK - x" {
		t.Error(got)
	}
}
