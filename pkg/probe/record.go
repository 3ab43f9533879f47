package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// RecordFile is where a run leaves what it found, in the folder for what must
// not survive a reboot: a record that is old says that the check does not run.
const RecordFile = "probe.json"

// Record is what RecordFile holds.
type Record struct {
	Time    time.Time `json:"time"`
	Healthy bool      `json:"healthy"`
	Mode    Mode      `json:"mode"`
	// Answered is when Traefik last answered as the active node's.
	Answered time.Time `json:"answered,omitzero"`
	// Inside is where the container itself listens, for when the engine is gone.
	Inside string `json:"inside,omitempty"`
	// EngineSilent is since when the engine has said nothing of the container; zero
	// while it does.
	EngineSilent time.Time `json:"engine_silent,omitzero"`
	// EngineRefuses is what the engine says when it answers but refuses the call.
	EngineRefuses string `json:"engine_refuses,omitempty"`
	// EngineAPI is the version of the Engine API that was spoken last.
	EngineAPI string   `json:"engine_api,omitempty"`
	Failures  []string `json:"failures,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
}

// ReadRecord returns what the last run found; found is false before the first.
func ReadRecord(runDir string) (r Record, found bool, err error) {
	path := filepath.Join(runDir, RecordFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, false, nil
	}
	if err != nil {
		return Record{}, false, fmt.Errorf("read the last check: %w", err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, false, fmt.Errorf("read the last check %s: %w", path, err)
	}
	return r, true, nil
}

// WriteRecord replaces what the last run found. It is not synced: each second
// brings another one, and none is to outlive the boot.
func WriteRecord(runDir string, result Result) error {
	data, err := json.Marshal(Record{
		Time: result.Time, Healthy: result.Healthy, Mode: result.Mode, Answered: result.Answered, Inside: result.Inside,
		EngineSilent: result.EngineSilent, EngineRefuses: result.EngineRefuses, EngineAPI: result.EngineAPI,
		Failures: result.Failures(), Warnings: result.Warnings(),
	})
	if err != nil {
		return fmt.Errorf("record the check: %w", err)
	}
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return fmt.Errorf("record the check: %w", err)
	}
	path := filepath.Join(runDir, RecordFile)
	// A run that was killed leaves its file behind, and the next one with the
	// same number replaces it; numbers are few, so that does not add up.
	beside := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(beside, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("record the check: %w", err)
	}
	// keepalived's umask would keep the record from everybody but root.
	if err := errors.Join(os.Chmod(beside, 0o644), os.Rename(beside, path)); err != nil {
		return errors.Join(fmt.Errorf("record the check: %w", err), os.Remove(beside))
	}
	return nil
}
