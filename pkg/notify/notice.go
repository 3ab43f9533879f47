package notify

import "time"

// Level is how bad something is.
type Level string

// The levels, better ones first. Gone withdraws a notice silently: the
// reporter has nothing to say about it any more.
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

// Notice is what a program has found.
type Notice struct {
	// Key names a condition, which is reported at each check, in
	// order or not: "standby/b", "node/a". Empty: something that happened once.
	Key string `json:"key,omitempty"`
	// From is the program that reports. Several may report on one condition:
	// the operator is notified of it once.
	From  string `json:"from"`
	Level Level  `json:"level"`
	// Time is when it was found.
	Time time.Time `json:"time"`
	// What happened in one line, further lines, and what to do.
	Title string   `json:"title"`
	Text  []string `json:"text,omitempty"`
	Hint  string   `json:"hint,omitempty"`
	// The node that reports, what it is, under which term.
	Node string `json:"node"`
	Role string `json:"role,omitempty"`
	Term uint64 `json:"term,omitempty"`
	// Wait is how long the problem must last before the operator is notified: it may
	// pass by itself, or another node is likely to tell.
	Wait time.Duration `json:"wait,omitempty"`
	// Elsewhere is the level of which another node has told people already.
	Elsewhere Level `json:"elsewhere,omitempty"`
}
