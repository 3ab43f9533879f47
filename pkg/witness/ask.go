package witness

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Answer is what asking the targets has shown.
type Answer struct {
	// Configured is false when there was nobody to ask.
	Configured bool `json:"configured"`
	// Reachable says that one target answered, or that there is none.
	Reachable bool `json:"reachable"`
	// By is the target that answered first.
	By string `json:"by,omitempty"`
	// Took is how long it was until the first answer, or until all had failed.
	Took time.Duration `json:"-"`
	// Failures says why, for each target that failed before one answered.
	Failures map[string]string `json:"failures,omitempty"`
}

// String says it in words for a person.
func (a Answer) String() string {
	switch {
	case !a.Configured:
		return "no witness is configured"
	case a.Reachable:
		return a.By + " answers"
	}
	texts := make([]string, 0, len(a.Failures))
	for _, target := range slices.Sorted(maps.Keys(a.Failures)) {
		texts = append(texts, target+": "+a.Failures[target])
	}
	return "no witness answers (" + strings.Join(texts, "; ") + ")"
}

// Ask asks all targets at the same time and returns at the first answer, or
// when all have failed, or after timeout. Targets are ping://ADDRESS,
// tcp://ADDRESS:PORT and http://… as the configuration has them. Any answer
// counts: a closed port and an HTTP error are said by a host that was reached.
func Ask(ctx context.Context, targets []string, timeout time.Duration) Answer {
	if len(targets) == 0 {
		return Answer{Reachable: true}
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel() // ends the others once one has answered
	type result struct {
		target string
		err    error
	}
	results := make(chan result, len(targets)) // nobody waits for the late ones
	for _, target := range targets {
		go func() { results <- result{target, one(ctx, target)} }()
	}
	answer := Answer{Configured: true, Failures: map[string]string{}}
	for range targets {
		select {
		case r := <-results:
			if r.err == nil {
				answer.Reachable, answer.By, answer.Took = true, r.target, time.Since(began)
				return answer
			}
			answer.Failures[r.target] = explain(ctx, r.err)
		case <-ctx.Done():
			for _, target := range targets {
				if answer.Failures[target] == "" {
					answer.Failures[target] = explain(ctx, ctx.Err())
				}
			}
			answer.Took = time.Since(began)
			return answer
		}
	}
	answer.Took = time.Since(began)
	return answer
}

// one asks one target; nil says that it answered.
func one(ctx context.Context, target string) error {
	u, err := url.Parse(target)
	if err != nil {
		return fmt.Errorf("ask %s: %w", target, err)
	}
	switch u.Scheme {
	case "ping":
		return ping(ctx, u.Hostname())
	case "tcp":
		return connect(ctx, u.Host)
	case "http", "https":
		return get(ctx, target)
	}
	return fmt.Errorf("ask %s: a target is ping://ADDRESS, tcp://ADDRESS:PORT or http://…", target)
}

// connect asks for a TCP connection. A refusal comes from the host, so the
// network is there.
func connect(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		if refused(err) {
			return nil
		}
		return err
	}
	return conn.Close()
}

// get asks by HTTP. Redirects are not followed and certificates are left
// alone: that something answered is all that counts.
func get(ctx context.Context, target string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, target, nil)
	if err != nil {
		return err
	}
	// No proxy: it would answer in the target's place.
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		if refused(err) || spoke(err) {
			return nil
		}
		return err
	}
	return resp.Body.Close()
}
