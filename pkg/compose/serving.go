package compose

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/understudy-ha/understudy/pkg/docker"
)

// pollServing is how often a starting project is checked.
const pollServing = 100 * time.Millisecond

// Serving waits until each service of the project has a container, and each
// container of it runs and, where it has a health check, is healthy. One that
// has done its work and ended with 0 counts too. When ctx ends, or a container
// has failed for good, the error is a *NotServingError.
func (m *Manager) Serving(ctx context.Context, p Project) error {
	if p.Err != nil {
		return p.Err
	}
	var reasons []string
	for {
		now, final, err := m.notServing(ctx, p)
		switch {
		case err == nil && len(now) == 0:
			return nil
		case err == nil:
			reasons = now
		case ctx.Err() == nil:
			reasons = []string{err.Error()} // it may answer again
		case len(reasons) == 0:
			reasons = []string{"it was not seen to run yet"}
		}
		if final {
			return &NotServingError{Project: p.Name, Reasons: reasons}
		}
		select {
		case <-ctx.Done():
			return &NotServingError{Project: p.Name, Reasons: reasons, Err: context.Cause(ctx)}
		case <-time.After(pollServing):
		}
	}
}

// byHand matches the names of what 'docker compose run' makes.
var byHand = regexp.MustCompile(`[-_]run[-_][0-9a-f]{12}$`)

// notServing says what is wrong with each container that does not serve. final:
// waiting does not help.
func (m *Manager) notServing(ctx context.Context, p Project) (reasons []string, final bool, err error) {
	all, err := m.engine.Containers(ctx)
	if err != nil {
		return nil, false, err
	}
	seen := map[string]bool{}
	for _, s := range p.Services {
		seen[s.Name] = false
	}
	for _, c := range all {
		// A container of a service that is no longer wanted, and one that a
		// person has made by 'docker compose run', say nothing.
		if _, wanted := seen[c.Service]; c.Project != p.Name || !wanted || byHand.MatchString(c.Name) {
			continue
		}
		d, err := m.engine.Inspect(ctx, c.ID)
		if docker.NotFound(err) {
			continue // replaced by another meanwhile
		}
		if err != nil {
			return nil, false, err
		}
		seen[c.Service] = true
		reason, lost := fault(d)
		if reason != "" {
			reasons = append(reasons, "container "+d.Name+" "+reason)
		}
		final = final || lost
	}
	for _, s := range p.Services {
		if !seen[s.Name] {
			reasons = append(reasons, "service "+s.Name+" has no container")
		}
	}
	return reasons, final, nil
}

// fault says why a container does not serve; "" when it does.
func fault(d docker.Details) (reason string, final bool) {
	switch {
	case d.Paused:
		return "is paused", false
	case d.Restarting:
		return fmt.Sprintf("restarts again and again (exit code %d)", d.ExitCode), false
	case d.Running && d.Health != "" && d.Health != "healthy":
		return "is " + d.Health, false
	case d.Running:
		return "", false
	case d.State == "exited" && d.ExitCode == 0 && (d.Restart == "" || d.Restart == "no" || d.Restart == "on-failure"):
		return "", false
	case d.State == "exited":
		return fmt.Sprintf("has ended with exit code %d", d.ExitCode), d.Restart == "" || d.Restart == "no"
	}
	return "is " + d.State, false
}
