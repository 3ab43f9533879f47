package debian_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/internal/testhost"
)

// What comes later must be newer for dpkg as well, or an upgrade would not
// happen.
func TestVersions(t *testing.T) {
	if _, err := exec.LookPath("dpkg"); err != nil {
		testhost.Missing(t, "dpkg is not installed")
	}
	last := ""
	for _, c := range []struct{ described, epoch, want string }{
		{"unknown", "0", "0~19700101000000.unknown"},
		{"b8d75e4", "1790000000", "0~20260921141320.b8d75e4"},
		{"a000000", "1790000001", "0~20260921141321.a000000"},
		{"a000000-dirty", "1790000001", "0~20260921141321.a000000+dirty"},
		{"v0.1.0-rc.1", "0", "0.1.0~rc.1"},
		{"v0.1.0-rc.1-4-gb8d75e4", "0", "0.1.0~rc.1+4.gb8d75e4"},
		{"v0.1.0-rc.2", "0", "0.1.0~rc.2"},
		{"v0.1.0", "0", "0.1.0"},
		{"v0.1.0-3-gb8d75e4", "0", "0.1.0+3.gb8d75e4"},
		{"v0.1.0-12-ga000000-dirty", "0", "0.1.0+12.ga000000+dirty"},
		{"v0.1.1", "0", "0.1.1"},
		{"v1.10", "0", "1.10"},
	} {
		cmd := exec.CommandContext(t.Context(), "../../scripts/debversion.sh", c.described)
		cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+c.epoch)
		out, err := cmd.Output()
		got := strings.TrimSpace(string(out))
		if err != nil || got != c.want {
			t.Errorf("%s is %q, want %q, error %v", c.described, got, c.want, err)
		}
		if out, err := exec.CommandContext(t.Context(), "dpkg", "--validate-version", got).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", got, out)
		}
		if exec.CommandContext(t.Context(), "dpkg", "--compare-versions", last, "lt", got).Run() != nil {
			t.Errorf("%s is not newer than %s", got, last)
		}
		last = got
	}
}
