package notify

import "time"

// Level is the severity of a notice.
type Level string

// The levels, by severity. Gone withdraws a notice silently: the reporter no longer
// reports on it.
const (
	Gone     Level = "gone"
	OK       Level = "ok"
	Info     Level = "info"
	Warning  Level = "warning"
	Critical Level = "critical"
)

// rank orders levels.
func (l Level) rank() int {
	switch l {
	case Warning:
		return 1
	case Critical:
		return 2
	}
	return 0
}

// bad reports whether it is a problem.
func (l Level) bad() bool { return l.rank() > 0 }

// Notice is a finding of a program.
type Notice struct {
	// Key names a condition, which is reported at each check, in
	// order or not: "standby/b", "node/a". Empty: something that happened once.
	Key string `json:"key,omitempty"`
	// From is the program that reports. Several may report on one condition:
	// the operator is notified of it once.
	From  string `json:"from"`
	Level Level  `json:"level"`
	// Time is the time of the finding.
	Time time.Time `json:"time"`
	// Title is one line, Text further lines, Hint what to do.
	Title string   `json:"title"`
	Text  []string `json:"text,omitempty"`
	Hint  string   `json:"hint,omitempty"`
	// Node is the reporting node, with its role and term.
	Node string `json:"node"`
	Role string `json:"role,omitempty"`
	Term uint64 `json:"term,omitempty"`
	// Wait is the time that the problem must last before it is announced: it may pass
	// on its own, or another node may announce it.
	Wait time.Duration `json:"wait,omitempty"`
	// Elsewhere is the level that another node has announced.
	Elsewhere Level `json:"elsewhere,omitempty"`
}
