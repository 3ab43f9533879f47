package images

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// headTime is how long a registry may take to say which version it has.
const headTime = 10 * time.Second

// registries asks registries which version a tag stands for, which costs one
// HEAD, and takes note of when they want to be asked again.
type registries struct {
	credentials func(ctx context.Context, host string) (authn.AuthConfig, error)
	insecure    []string // as docker.Info has them
	pauses      *pauses
	now         func() time.Time

	mu      sync.Mutex
	pullers map[string]*remote.Puller
	known   map[string]*login
}

// login is who this node is to one registry.
type login struct {
	once sync.Once
	auth authn.AuthConfig
	err  error
}

// auth returns the credentials for a registry, which are asked for once.
func (r *registries) auth(ctx context.Context, host string) (authn.AuthConfig, error) {
	r.mu.Lock()
	if r.known == nil {
		r.known = map[string]*login{}
	}
	l := r.known[host]
	if l == nil {
		l = &login{}
		r.known[host] = l
	}
	r.mu.Unlock()
	l.once.Do(func() { l.auth, l.err = r.credentials(ctx, host) })
	return l.auth, l.err
}

// StatusError is a registry's refusal.
type StatusError struct {
	Ref    string
	Status int
	Err    error
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("ask the registry for %s: it says %d %s", e.Ref, e.Status, http.StatusText(e.Status))
}

func (e *StatusError) Unwrap() error { return e.Err }

// digest asks which version t is.
func (r *registries) digest(ctx context.Context, t target) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, headTime)
	defer cancel()
	puller, ref, err := r.puller(ctx, t)
	if err != nil {
		return "", err
	}
	found, err := puller.Head(ctx, ref)
	if failed, ok := errors.AsType[*transport.Error](err); ok {
		return "", &StatusError{Ref: t.String(), Status: failed.StatusCode, Err: err}
	}
	if err != nil {
		return "", fmt.Errorf("ask the registry for %s: %w", t, err)
	}
	return found.Digest.String(), nil
}

// puller returns the client for a registry, and the name of t for it.
func (r *registries) puller(ctx context.Context, t target) (*remote.Puller, name.Reference, error) {
	insecure := r.isInsecure(t.Host)
	var options []name.Option
	if insecure {
		options = append(options, name.Insecure)
	}
	separator := ":"
	if t.Digest != "" {
		separator = "@"
	}
	ref, err := name.ParseReference(t.Host+"/"+t.Path+separator+t.version(), options...)
	if err != nil {
		return nil, nil, fmt.Errorf("ask the registry for %s: %w", t, err)
	}
	auth, err := r.auth(ctx, t.Host)
	if err != nil {
		return nil, nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.pullers[t.Host]; p != nil {
		return p, ref, nil
	}
	base := remote.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost = 16
	if insecure {
		base.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // as the engine does by its own configuration
	}
	p, err := remote.NewPuller(
		remote.WithTransport(&noting{next: base, host: t.Host, pauses: r.pauses, now: r.now}),
		remote.WithAuth(authn.FromConfig(auth)),
		remote.WithRetryPredicate(func(error) bool { return false }), remote.WithRetryStatusCodes(),
	)
	if err != nil {
		return nil, nil, fmt.Errorf("ask the registry for %s: %w", t, err)
	}
	if r.pullers == nil {
		r.pullers = map[string]*remote.Puller{}
	}
	r.pullers[t.Host] = p
	return p, ref, nil
}

// isInsecure reports whether the engine would speak to a registry without TLS.
func (r *registries) isInsecure(host string) bool {
	if slices.Contains(r.insecure, host) {
		return true
	}
	bare, _, err := net.SplitHostPort(host)
	if err != nil {
		bare = host
	}
	ip, err := netip.ParseAddr(strings.Trim(bare, "[]"))
	if err != nil {
		return bare == "localhost"
	}
	return slices.ContainsFunc(r.insecure, func(text string) bool {
		network, err := netip.ParsePrefix(text)
		return err == nil && network.Contains(ip)
	})
}

// noting takes note of Retry-After.
type noting struct {
	next   http.RoundTripper
	host   string
	pauses *pauses
	now    func() time.Time
}

func (n *noting) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := n.next.RoundTrip(req)
	if err == nil && (resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500) {
		if until, given := retryAfter(resp.Header.Get("Retry-After"), n.now()); given {
			n.pauses.set(n.host, until)
		}
	}
	return resp, err
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(text string, now time.Time) (time.Time, bool) {
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return now.Add(time.Duration(seconds) * time.Second), true
	}
	if at, err := http.ParseTime(text); err == nil {
		return at, true
	}
	return time.Time{}, false
}

// header is X-Registry-Auth for the engine.
func (r *registries) header(ctx context.Context, host string) (string, error) {
	auth, err := r.auth(ctx, host)
	if err != nil {
		return "", err
	}
	return header(auth, host)
}
