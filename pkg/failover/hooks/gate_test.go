package hooks

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAdmit(t *testing.T) {
	for _, asked := range []string{
		"zfs-replicate receiver",
		"/usr/bin/zfs-replicate receiver",
		"failover-notify peer -o json", "failover-notify peer -o json --newest-term 18446744073709551615",
		"failover-notify status --local -o json",
		"image-sync manifest -o json",
		"failover-notify switchover --return a -o json", "/usr/bin/failover-notify switchover --return node-2.lan -o json --dry-run",
		"image-sync export sha256:" + strings.Repeat("0a", 32),
		"/usr/bin/image-sync export sha256:" + strings.Repeat("0a", 32) + " sha256:" + strings.Repeat("f1", 32),
	} {
		argv, err := admit(asked)
		if err != nil || strings.Join(argv, " ") != asked {
			t.Errorf("%q: %q, error %v", asked, argv, err)
		}
	}
	for _, asked := range []string{
		"", " ", "sh", "zfs-replicate", "zfs-replicate receiver ", " zfs-replicate receiver", "zfs-replicate  receiver",
		"zfs-replicate receiver --config=/tmp/x", "zfs-replicate run", "failover-notify peer", "failover-notify peer -o text",
		"failover-notify peer -o json --newest-term", "failover-notify peer -o json --newest-term -1", "failover-notify peer -o json --newest-term 1 2",
		"failover-notify peer --newest-term 1", "failover-notify peer -o json --newest-term 184467440737095516150",
		"failover-notify switchover", "failover-notify switchover -o json", "failover-notify switchover --return a", "failover-notify switchover --to a -o json",
		"failover-notify switchover --return --force -o json", "failover-notify switchover --return a -o text", "failover-notify switchover --return a -o json --to b",
		"failover-notify switchover --return a b -o json", "failover-notify switchover --return -o json", "failover-notify drill",
		"failover-notify master", "zfs-replicate receiver\n", "zfs-replicate\treceiver", "zfs-replicate receiver;id",
		"image-sync", "image-sync export", "image-sync export ID...", "image-sync export web:1", "image-sync export -o sha256:" + strings.Repeat("0a", 32),
		"image-sync export sha256:" + strings.Repeat("0a", 31), "image-sync export sha256:" + strings.Repeat("0A", 32),
		"image-sync export sha256:" + strings.Repeat("0a", 32) + " --config=/tmp/x", "image-sync manifest sha256:" + strings.Repeat("0a", 32),
		"zfs-replicate $(id)", "'zfs-replicate' receiver", "zfs-replicate receiver\x00", "zfs-replicate réceiver",
	} {
		if argv, err := admit(asked); err == nil {
			t.Errorf("%q was let through as %q", asked, argv)
		}
	}
}

// Whatever is let through is one of the allowed commands but for its folder.
func FuzzAdmit(f *testing.F) {
	for _, a := range allowed {
		f.Add(a)
	}
	f.Add("/usr/bin/../bin/zfs-replicate receiver")
	f.Add("image-sync export sha256:" + strings.Repeat("0a", 32))
	f.Add("failover-notify peer -o json --newest-term 7")
	f.Add("failover-notify switchover --return a -o json")
	f.Fuzz(func(t *testing.T, asked string) {
		argv, err := admit(asked)
		if err != nil {
			return
		}
		command := strings.Join(argv, " ")
		if ids := strings.Fields(command); len(ids) > 2 && strings.HasPrefix(ids[2], "sha256:") {
			for _, id := range ids[2:] {
				if !imageID.MatchString(id) {
					t.Errorf("%q was let through", asked)
				}
			}
			if strings.HasSuffix(ids[0], "image-sync") && ids[1] == "export" {
				return
			}
		}
		words := strings.Fields(command)
		words[0] = filepath.Base(words[0])
		if command == asked && (asks(words) || returns(words)) {
			return
		}
		if command != asked || !slices.ContainsFunc(allowed, func(a string) bool { return command == a || strings.HasSuffix(command, "/"+a) }) {
			t.Errorf("%q was let through as %q", asked, argv)
		}
	})
}

func TestLocateStaysInTheProgramFolders(t *testing.T) {
	for _, program := range []string{"/tmp/zfs-replicate", "./zfs-replicate", "/usr/bin/../../tmp/zfs-replicate", "bin/zfs-replicate", "/zfs-replicate"} {
		if path, err := locate(program); err == nil {
			t.Errorf("%s was found as %s", program, path)
		}
	}
}

// A refused command may be long and is not repeated whole.
func TestGateErrorIsShort(t *testing.T) {
	_, err := admit(strings.Repeat("x", 100_000))
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("%d bytes: %.80s", len(err.Error()), err)
	}
}
