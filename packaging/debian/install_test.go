//go:build drill

package debian

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testOtherSystems installs what was built without a package, and takes it away.
func testOtherSystems(t *testing.T, sources string) {
	dest := t.TempDir()
	const prefix = "/opt/standby"
	place := func(action string) {
		command(t, sources, []string{"DESTDIR=" + dest, "PREFIX=" + prefix}, "scripts/install.sh", action, "bin", "bin/pages")
	}
	place("install")
	for _, path := range []string{"bin/zfs-replicate", "share/man/man8/lag-check.8", "share/zsh/site-functions/_lag-check",
		"share/understudy/logrotate/understudy", "share/doc/understudy/docs/packages.md"} {
		if _, err := os.Stat(filepath.Join(dest, prefix, path)); err != nil {
			t.Error(err)
		}
	}
	if entries, err := os.ReadDir(dest); err != nil || len(entries) != 1 {
		t.Errorf("outside %s: %v, error %v", prefix, entries, err)
	}
	ours := regexp.MustCompile(`(\S*)/bin/(failover-notify|image-sync|lag-check|track-traefik|zfs-replicate)\b`)
	for _, folder := range []string{"lib/systemd/system/*", "share/understudy/systemd/*/*", "share/understudy/keepalived/*"} {
		files, err := filepath.Glob(filepath.Join(dest, prefix, folder))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, error %v", folder, files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range ours.FindAllString(string(text), -1) {
				if strings.Contains(found, "/usr/") {
					t.Errorf("%s names %s", file, found)
				}
			}
		}
	}

	// What others have put beside ours stays.
	foreign := filepath.Join(dest, prefix, "bin", "another")
	if err := os.WriteFile(foreign, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	place("uninstall")
	left := strings.Fields(command(t, filepath.Join(dest, prefix), nil, "find", ".", "!", "-type", "d"))
	if len(left) != 1 || left[0] != "./bin/another" {
		t.Errorf("left: %v", left)
	}
	if found := command(t, dest, nil, "find", ".", "-name", "*understudy*"); found != "" {
		t.Errorf("left: %s", found)
	}
}
