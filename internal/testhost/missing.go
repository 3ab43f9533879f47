package testhost

import (
	"os"
	"testing"
)

// Missing ends a test for which something is missing here.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("UNDERSTUDY_NO_SKIP") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf("NOT RUN HERE: "+format, args...)
}

// NeedRoot ends a test that is not run by root. why completes "needs root".
func NeedRoot(t testing.TB, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "needs root %s", why)
	}
}
