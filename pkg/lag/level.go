package lag

import (
	"encoding/json"
	"fmt"
)

// Level is how bad something is. The values are Nagios's exit codes.
type Level int

// The levels.
const (
	OK Level = iota
	Warning
	Critical
	Unknown
)

var levelNames = []string{"ok", "warning", "critical", "unknown"}

func (l Level) String() string {
	if l < OK || l > Unknown {
		return fmt.Sprintf("level %d", int(l))
	}
	return levelNames[l]
}

// Worse returns the worse of two levels. That something is not known is worse
// than a warning, and less than what is known to be critical.
func (l Level) Worse(other Level) Level {
	rank := []int{OK: 0, Warning: 1, Unknown: 2, Critical: 3}
	if rank[other] > rank[l] {
		return other
	}
	return l
}

// MarshalJSON writes the level's name.
func (l Level) MarshalJSON() ([]byte, error) { return json.Marshal(l.String()) }

// UnmarshalJSON reads the level's name.
func (l *Level) UnmarshalJSON(data []byte) error {
	var name string
	if err := json.Unmarshal(data, &name); err != nil {
		return err
	}
	for i, known := range levelNames {
		if name == known {
			*l = Level(i)
			return nil
		}
	}
	return fmt.Errorf("unknown level %q", name)
}
