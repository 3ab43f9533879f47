package alert

// Kind is what an alert is about.
type Kind string

// The kinds. Other releases may have more; a text without a kind is Unknown.
const (
	Unknown        Kind = ""
	State          Kind = "state"           // the role can't be read
	Leftover       Kind = "leftover"        // something may still be written here
	Address        Kind = "address"         // keepalived can't be looked for
	Keepalived     Kind = "keepalived"      // keepalived does not run
	CheckInsecure  Kind = "check-insecure"  // keepalived refuses to run its check
	CheckSilent    Kind = "check-silent"    // keepalived has not run its check
	Engine         Kind = "engine"          // the Docker Engine does not answer
	EngineRefuses  Kind = "engine-refuses"  // the Docker Engine refuses this node's calls
	WatcherStopped Kind = "watcher-stopped" // no watcher runs
	WatcherHanging Kind = "watcher-hanging" // a watcher runs, without a heartbeat
)

// Alert is one thing that an operator should look at.
type Alert struct {
	Kind Kind `json:"kind"`
	// Object is the program or unit concerned; may be empty.
	Object string `json:"object,omitempty"`
	// Text has no times that grow, which would make it another alert each second.
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"` // what to type, or do
}

// String returns the text with the hint.
func (a Alert) String() string {
	if a.Hint == "" {
		return a.Text
	}
	return a.Text + ": " + a.Hint
}

// Texts returns alerts as texts, for releases that know no kinds.
func Texts(alerts []Alert) []string {
	var texts []string
	for _, a := range alerts {
		texts = append(texts, a.String())
	}
	return texts
}

// FromTexts returns the alerts of a release that knows no kinds.
func FromTexts(texts []string) []Alert {
	var alerts []Alert
	for _, text := range texts {
		alerts = append(alerts, Alert{Text: text})
	}
	return alerts
}
