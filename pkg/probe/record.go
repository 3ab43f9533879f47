package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/understudy-ha/understudy/pkg/state"
)

// RecordFile is where a run leaves what it found, in the folder for what must
// not survive a reboot: a record that is old says that the check does not run.
const RecordFile = state.ProbeName + ".json"

// WriteRecord replaces the record. It does not sync: the next record follows in a
// second, and none outlives the boot.
func WriteRecord(runDir string, result Result) error {
	data, err := json.Marshal(state.Probe{
		Time: result.Time, Healthy: result.Healthy, Mode: string(result.Mode), Answered: result.Answered, Inside: result.Inside,
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
	// A killed run leaves its file behind until a run with the same process id replaces
	// it; process ids are few.
	beside := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(beside, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("record the check: %w", err)
	}
	// keepalived's umask would make the record unreadable for other users.
	if err := errors.Join(os.Chmod(beside, 0o644), os.Rename(beside, path)); err != nil {
		return errors.Join(fmt.Errorf("record the check: %w", err), os.Remove(beside))
	}
	return nil
}
