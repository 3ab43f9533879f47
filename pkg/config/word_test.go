package config

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

// TestWords checks that what is checked by hand is what the patterns say that
// stand for it.
func TestWords(t *testing.T) {
	for pattern, is := range map[string]func(string) bool{
		`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`: isNodeName,
		`^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$`:              isSnapshotPrefix,
		`^[A-Za-z_][A-Za-z0-9._-]*$`:                      isUser,
		`^[^\s/:]{1,15}$`:                                 isInterface,
		`^[0-9.]*$`:                                       isNumeric,
	} {
		want := regexp.MustCompile(pattern)
		text := rapid.OneOf(
			rapid.StringMatching(`[A-Za-z0-9_.:-]{0,6}[ -~é\n]?[0-9.]{0,3}`),
			rapid.StringMatching(`[A-Za-z0-9._-]{13,17}`),
			rapid.StringMatching(`[A-Za-z0-9]{60,66}`),
			rapid.StringMatching(`é{14,16}`),
		)
		rapid.Check(t, func(t *rapid.T) {
			if text := text.Draw(t, "text"); is(text) != want.MatchString(text) {
				t.Fatalf("%q: %v, but %s says %v", text, is(text), pattern, !is(text))
			}
		})
	}
}
