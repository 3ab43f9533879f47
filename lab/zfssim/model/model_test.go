package model

import (
	"bytes"
	"strings"
	"testing"
)

func TestNamesAreCheckedInLibzfsWords(t *testing.T) {
	for _, c := range []struct {
		name      string
		kinds     int
		modifying bool
		want      string
	}{
		{"tank/a b", KindFilesystem, true, ""},
		{"tank/a@1", KindSnapshot, true, ""},
		{"tank/a#1", KindBookmark, true, ""},
		{"tank/a%b", KindFilesystem, false, ""},
		{"tank/a%b", KindFilesystem, true, "invalid character % in name"},
		{"tank/a@1", KindFilesystem, true, "snapshot delimiter '@' is not expected here"},
		{"tank/a", KindSnapshot, true, "missing '@' delimiter in snapshot name"},
		{"tank/a", KindBookmark, true, "missing '#' delimiter in bookmark name"},
		{"tank/a@1@2", KindSnapshot, true, "multiple '@' and/or '#' delimiters in name"},
		{"tank/a@", KindSnapshot, true, "empty component or misplaced '@' or '#' delimiter in name"},
		{"tank//a", KindFilesystem, true, "empty component or misplaced '@' or '#' delimiter in name"},
		{"/tank", KindFilesystem, true, "leading slash in name"},
		{"tank/", KindFilesystem, true, "trailing slash in name"},
		{"tank/..", KindFilesystem, true, "parent reference, '..' is found in name"},
		{"tank/.", KindFilesystem, true, "self reference, '.' is found in name"},
		{"tank/ä", KindFilesystem, true, "invalid character '\xc3' in name"},
		{strings.Repeat("x", 256), KindFilesystem, true, "name is too long"},
	} {
		if got := CheckName(c.name, c.kinds, c.modifying); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 1023: "1023", 1024: "1K", 1536: "1.50K", 10240: "10K", 10250: "10.0K", 1<<20 - 1: "1024K", 123456789: "118M", 1 << 60: "1E"} {
		if got := Nice(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	if got := NiceBytes(12); got != "12B" {
		t.Errorf("%s, want 12B", got)
	}
	for text, want := range map[string]uint64{"10": 10, " 64K": 64 << 10, "1.5g": 3 << 29, "2MB": 2 << 20, "2MiB": 2 << 20} {
		if got, ok := ParseNumber(text); !ok || got != want {
			t.Errorf("%s: %d, %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "K", "-1", "1Z", "1KK", "1.2.3K", "0x10"} {
		if got, ok := ParseNumber(text); ok {
			t.Errorf("%q is the number %d", text, got)
		}
	}
}

// pool has datasets with these names, in which properties have been set.
func pool(names ...string) *Pool {
	p := &Pool{Name: names[0], Datasets: map[string]*Dataset{}}
	for _, name := range names {
		p.Datasets[name] = &Dataset{Name: name}
	}
	p.Link()
	return p
}

func TestPropertiesAreInherited(t *testing.T) {
	p := pool("tank", "tank/a", "tank/a/b")
	top, a, b := p.Datasets["tank"], p.Datasets["tank/a"], p.Datasets["tank/a/b"]
	look := func(d *Dataset, name, value, source string) {
		t.Helper()
		got, src, _ := d.Lookup(Settable(), name)
		if got != value || src.String() != source {
			t.Errorf("%s of %s: %s from %s, want %s from %s", name, d.Name, got, src, value, source)
		}
	}
	look(b, "readonly", "off", "default")
	top.SetLocal("readonly", "on")
	look(b, "readonly", "on", "inherited from tank")
	a.SetReceived("readonly", "off")
	look(b, "readonly", "off", "inherited from tank/a")
	look(a, "readonly", "off", "received")
	a.SetInherited("readonly")
	look(a, "readonly", "on", "inherited from tank")
	a.SetLocal("readonly", "off")
	look(a, "readonly", "off", "local")
	top.SetLocal("canmount", "off")
	look(b, "canmount", "on", "default") // it is not inherited
	top.SetLocal("org.example:team", "blue")
	look(b, "org.example:team", "blue", "inherited from tank")
}

func TestMountPoints(t *testing.T) {
	p := pool("tank", "tank/a", "tank/a/b")
	at := func(want string) {
		t.Helper()
		if got, _ := p.Datasets["tank/a/b"].Mountpoint(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	at("/tank/a/b")
	p.Datasets["tank"].SetLocal("mountpoint", "/srv")
	at("/srv/a/b")
	p.Altroot = "/mnt"
	at("/mnt/srv/a/b")
	p.Datasets["tank/a"].SetLocal("mountpoint", "none")
	at("none")
	if p.Datasets["tank/a/b"].Mountable() {
		t.Error("a filesystem without a mount point can be mounted")
	}
}

func TestKeysAreWrapped(t *testing.T) {
	user, why := DeriveKey("passphrase", "salt", 350000, []byte("correct horse\n"))
	if why != "" || len(user) != 32 {
		t.Fatalf("%d bytes, %s", len(user), why)
	}
	if other, _ := DeriveKey("passphrase", "pepper", 350000, []byte("correct horse")); bytes.Equal(user, other) {
		t.Error("the salt changes nothing")
	}
	for format, given := range map[string]string{"passphrase": "short", "hex": "12", "raw": strings.Repeat("x", 33)} {
		if _, why := DeriveKey(format, "", 0, []byte(given)); why == "" {
			t.Errorf("%s: %q is a key", format, given)
		}
	}
	if _, err := Unwrap(user, "00"); err == nil {
		t.Error("a wrapped key that is cut off is read")
	}
}
