package config

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "5m": 5 * time.Minute, "1h30m": 90 * time.Minute, "0s": 0, "250ms": 250 * time.Millisecond,
		"2d": 48 * time.Hour, "1d12h": 36 * time.Hour, "1w": 168 * time.Hour, "1w2d3h": (168 + 48 + 3) * time.Hour,
	} {
		got, err := parseDuration(text)
		if err != nil || got != want {
			t.Errorf("%s: %v, error %v, want %v", text, got, err, want)
		}
		again, err := parseDuration(formatDuration(got))
		if err != nil || again != want {
			t.Errorf("%s is written as %s, which reads %v, error %v", text, formatDuration(got), again, err)
		}
	}
	for _, text := range []string{"", "0", "30", "1.5", "-5s", "s", "d", "1d1w", "-1d", "1.5d", "1d-12h", "5 m", "99999w", "1e3"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "0B": 0, "512B": 512, "1KiB": 1024, "20MiB": 20 << 20, "20MB": 20_000_000, "1.5GiB": 3 << 29, "20 MiB": 20 << 20, "20MiB/s": 20 << 20,
	} {
		got, err := parseSize(text)
		if err != nil || got != want {
			t.Errorf("%s: %d, error %v, want %d", text, got, err, want)
		}
		again, err := parseSize(got.String())
		if err != nil || again != want {
			t.Errorf("%s is written as %s, which reads %d, error %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "20", "1e6", "-1MiB", "20Mbit", "MiB", "20MiB/h", "99999999TiB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	names := []string{"identity_file", "known_hosts_file", "port", "user"}
	for word, want := range map[string]string{
		"prot": `; did you mean "port"?`, "identityfile": `; did you mean "identity_file"?`, "known-hosts": "",
		"zzzzzzz": "", "User": `; did you mean "user"?`,
	} {
		if got := didYouMean(word, names); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

func TestSchema(t *testing.T) {
	variables := map[string]string{}
	paths := map[string]bool{}
	var check func(k key)
	check = func(k key) {
		paths[k.path] = true
		if k.hasDefault {
			if _, err := k.parse(k.def); err != nil {
				t.Errorf("default of %s: %v", k.path, err)
			}
		}
		if other, twice := variables[k.env()]; twice && k.scalar() {
			t.Errorf("%s and %s have the same variable", k.path, other)
		}
		variables[k.env()] = k.path
		if k.inherits != "" && !paths[k.inherits] {
			t.Errorf("%s inherits from %q, which is no key before it", k.path, k.inherits)
		}
		for _, s := range k.sub {
			check(s)
		}
	}
	check(schema())
	for _, taken := range []string{"UNDERSTUDY_CONFIG", "UNDERSTUDY_LOG_LEVEL", "UNDERSTUDY_LOG_FORMAT"} {
		if path, clash := variables[taken]; clash {
			t.Errorf("%s, the variable of %s, has another meaning", taken, path)
		}
	}
}
