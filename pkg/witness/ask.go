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

// Answer is the result of asking the targets.
type Answer struct {
	// Configured is false if there are no targets.
	Configured bool `json:"configured"`
	// Reachable reports that a target answered, or that there is none.
	Reachable bool `json:"reachable"`
	// By is the target that answered first.
	By string `json:"by,omitempty"`
	// Took is the time until the first answer, or until all targets had failed.
	Took time.Duration `json:"-"`
	// Failures holds the errors of targets that failed before one answered.
	Failures map[string]string `json:"failures,omitempty"`
}

// String returns the answer in words.
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
// tcp://ADDRESS:PORT and http://…. Any answer counts: a refused connection and an
// HTTP error come from a host that was reached.
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
	results := make(chan result, len(targets)) // late results block no goroutine
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

// one asks one target. It returns nil if the target answered.
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

// connect opens a TCP connection. A refusal comes from the host, so the network works.
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

// get asks by HTTP. It follows no redirects and ignores certificate errors: any answer
// counts.
func get(ctx context.Context, target string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, target, nil)
	if err != nil {
		return err
	}
	// No proxy: a proxy would answer instead of the target.
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
