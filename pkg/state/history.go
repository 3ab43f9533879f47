package state

// historyName is the state name of the transitions that have ended, of which the
// last historyLength stay.
const (
	historyName   = "history"
	historyLength = 50
)

// Past is a transition that has ended.
type Past struct {
	Term uint64 `json:"term"`
	Transition
}

// History returns the transitions that have ended, oldest first.
func (d *Dir) History() ([]Past, error) {
	var history []Past
	_, err := d.Read(historyName, &history)
	return history, err
}

// AddHistory appends a transition that has ended, and drops the oldest ones. A
// history that can't be read is started again, and reported as unreadable: nothing
// depends on it.
func (d *Dir) AddHistory(p Past) (unreadable, err error) {
	history, unreadable := d.History()
	if unreadable != nil {
		history = nil
	}
	history = append(history, p)
	return unreadable, d.Write(historyName, history[max(0, len(history)-historyLength):])
}
