package config

import (
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// What each load checks is checked by hand, and what few need is compiled when
// it is needed: patterns compiled at start-up were half of what a load cost,
// and keepalived has the configuration loaded every second.
var (
	hostName = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\.?$`)
	})
	sshOption = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[A-Za-z0-9]+\s*[= ]\s*\S`)
	})
	// syntaxError matches the text of yaml's own errors.
	syntaxError = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	})
)

func letter(c byte) bool       { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func alphanumeric(c byte) bool { return letter(c) || '0' <= c && c <= '9' }

// word reports whether text is of letters, digits and the characters in others,
// with at least one of them.
func word(text, others string) bool {
	for i := range len(text) {
		if c := text[i]; !alphanumeric(c) && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return text != ""
}

func isNodeName(text string) bool {
	return word(text, "._-") && len(text) <= 63 && alphanumeric(text[0]) && alphanumeric(text[len(text)-1])
}

// isSnapshotPrefix is narrower than what ZFS takes: a prefix is written on
// command lines and in scripts by people.
func isSnapshotPrefix(text string) bool {
	return word(text, "_.:-") && len(text) <= 64 && alphanumeric(text[0])
}

func isUser(text string) bool {
	return word(text, "._-") && (letter(text[0]) || text[0] == '_')
}

// isInterface goes by what the kernel takes as the name of an interface.
func isInterface(text string) bool {
	return text != "" && utf8.RuneCountInString(text) <= 15 && !strings.ContainsAny(text, "\t\n\f\r /:")
}

// isNumeric reports whether text is of digits and dots alone: an address that went
// wrong.
func isNumeric(text string) bool { return strings.Trim(text, "0123456789.") == "" }
