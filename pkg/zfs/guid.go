package zfs

import (
	"fmt"
	"strconv"
)

// GUID identifies a snapshot or a bookmark on every node, since a stream carries it,
// and a dataset on its own node. 0 is none. Its text, also in JSON, is a decimal
// number: readers of JSON's own numbers lose the last digits.
type GUID uint64

// ParseGUID reads a decimal number.
func ParseGUID(text string) (GUID, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	return GUID(n), err
}

// MarshalText implements encoding.TextMarshaler.
func (g GUID) MarshalText() ([]byte, error) { return strconv.AppendUint(nil, uint64(g), 10), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (g *GUID) UnmarshalText(text []byte) error {
	n, err := ParseGUID(string(text))
	if err != nil {
		return fmt.Errorf("guid %q: not a 64-bit number", text)
	}
	*g = n
	return nil
}
