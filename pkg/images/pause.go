package images

import (
	"sync"
	"time"
)

// How long is waited before an image is asked for again: twice as long each
// time, unless the registry says how long. What takes longer than the patience
// is left to the next run.
const (
	firstPause  = time.Second
	longestWait = 2 * time.Minute
	attempts    = 5
	// With an active node there is another way.
	longestWaitWithPeer = 15 * time.Second
	attemptsWithPeer    = 3
)

// pauses are the registries that want to be left alone, and until when: what
// one image was told counts for the others too.
type pauses struct {
	mu    sync.Mutex
	until map[string]time.Time
	given map[string]error // registries that are no longer asked in this run, and why
}

// set has all wait until then before they ask a registry.
func (p *pauses) set(host string, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until == nil {
		p.until = map[string]time.Time{}
	}
	if until.After(p.until[host]) {
		p.until[host] = until
	}
}

// left is how long a registry is still to be left alone.
func (p *pauses) left(host string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.until[host].Sub(now)
}

// giveUp has others not even try a registry, where there is another way.
func (p *pauses) giveUp(host string, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.given == nil {
		p.given = map[string]error{}
	}
	p.given[host] = why
}

// givenUp returns why a registry is no longer asked; nil while it is.
func (p *pauses) givenUp(host string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.given[host]
}

// pause is how long to wait after so many attempts.
func pause(attempt int) time.Duration { return firstPause << min(attempt-1, 6) }
