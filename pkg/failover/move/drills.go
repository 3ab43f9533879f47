package move

import ()

// drillsName is the state name of the past drills, of which the last drillsLength
// stay.
const (
	drillsName   = "drills"
	drillsLength = 50
)

// Drills returns the past drills, oldest first.
func (m *Mover) Drills() ([]Drill, error) {
	var drills []Drill
	_, err := m.State.Read(drillsName, &drills)
	return drills, err
}

// rememberDrill adds a drill to the history. It starts a new history when the old one
// is unreadable: nothing depends on it.
func (m *Mover) rememberDrill(d Drill) error {
	drills, err := m.Drills()
	if err != nil {
		m.Log.Warn().Err(err).Msg("history of drills unreadable: starting a new one")
		drills = nil
	}
	drills = append(drills, d)
	return m.State.Write(drillsName, drills[max(0, len(drills)-drillsLength):])
}
