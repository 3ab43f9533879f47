package lag

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Snaps are snapshots as an inventory carries them: one text for all, since
// there may be tens of thousands. Each is a line of name, guid and createtxg in
// base 36, and a # for a bookmark; tabs lie between, which no name can have.
type Snaps []zfs.Snap

// MarshalText writes the lines.
func (s Snaps) MarshalText() ([]byte, error) {
	text := make([]byte, 0, len(s)*48)
	for _, snap := range s {
		text = append(text, snap.Name...)
		text = strconv.AppendUint(append(text, '\t'), uint64(snap.GUID), 36)
		text = strconv.AppendUint(append(text, '\t'), snap.CreateTXG, 36)
		if snap.Bookmark {
			text = append(text, "\t#"...)
		}
		text = append(text, '\n')
	}
	return text, nil
}

// UnmarshalText reads them.
func (s *Snaps) UnmarshalText(text []byte) error {
	lines := string(text)
	all := make(Snaps, 0, strings.Count(lines, "\n"))
	for line := range strings.Lines(lines) {
		name, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		guid, rest, _ := strings.Cut(rest, "\t")
		txg, mark, _ := strings.Cut(rest, "\t")
		snap := zfs.Snap{Name: name, Bookmark: mark == "#"}
		number, err := strconv.ParseUint(guid, 36, 64)
		snap.GUID = zfs.GUID(number)
		var err2 error
		snap.CreateTXG, err2 = strconv.ParseUint(txg, 36, 64)
		if err != nil || err2 != nil || name == "" || mark != "" && mark != "#" {
			return fmt.Errorf("read snapshots: %q is none", line)
		}
		all = append(all, snap)
	}
	*s = all
	return nil
}
