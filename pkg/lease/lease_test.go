package lease_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/lease"
	"github.com/understudy-ha/understudy/pkg/lease/leasetest"
	"github.com/understudy-ha/understudy/pkg/state"
)

func settings(endpoints ...string) config.Etcd {
	return config.Etcd{Endpoints: endpoints, TTL: 4 * time.Second, Timeout: 5 * time.Second, Prefix: "/understudy/"}
}

func open(t *testing.T, cfg config.Etcd) *lease.Etcd {
	t.Helper()
	e := lease.New(cfg)
	t.Cleanup(func() {
		if err := e.Close(); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return e
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// awaitFree waits until the lease is free, and returns how long that took.
func awaitFree(t *testing.T, e *lease.Etcd) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		_, found, err := e.Holder(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !found {
			return time.Since(began)
		}
		if time.Since(began) > 20*time.Second {
			t.Fatal("the lease does not end")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestOneHolder(t *testing.T) {
	server := leasetest.Start(t)
	a, b := open(t, settings(server.Endpoint)), open(t, settings(server.Endpoint))
	ctx := t.Context()
	held := must[state.Lease](t)(a.Take(ctx, lease.Holder{Node: "a", Boot: "1"}))
	if held.Revision == 0 || held.TTL != 4*time.Second || held.Boot != "1" {
		t.Errorf("%+v", held)
	}
	if err := a.Sign(ctx, held, lease.Holder{Node: "a", Term: 7}); err != nil {
		t.Fatal(err)
	}
	_, err := b.Take(ctx, lease.Holder{Node: "b"})
	var refused *lease.HeldError
	if !errors.As(err, &refused) || refused.Holder.Node != "a" || refused.Holder.Term != 7 || refused.Holder.Revision != held.Revision {
		t.Fatalf("b got it, or another error: %v", err)
	}
	if text := refused.Error(); !strings.Contains(text, "held by a under term 7") {
		t.Error(text)
	}
	// The same node takes the lease again, under a newer revision.
	again := must[state.Lease](t)(a.Take(ctx, lease.Holder{Node: "a", Boot: "2"}))
	if again.Revision <= held.Revision {
		t.Errorf("revision %d after %d", again.Revision, held.Revision)
	}
	var lost *lease.LostError
	if _, err := a.Renew(ctx, held); !errors.As(err, &lost) {
		t.Errorf("the one before: %v", err)
	}
	if err := a.Release(ctx, again); err != nil {
		t.Fatal(err)
	}
	next := must[state.Lease](t)(b.Take(ctx, lease.Holder{Node: "b"}))
	if next.Revision <= again.Revision {
		t.Errorf("revision %d after %d", next.Revision, again.Revision)
	}
	if err := a.Sign(ctx, again, lease.Holder{Node: "a"}); !errors.As(err, &lost) {
		t.Errorf("signed what is another's: %v", err)
	}
}

// A renewed lease outlives its duration. A lease that is not renewed expires, but never
// before its holder counts it as over.
func TestTime(t *testing.T) {
	server := leasetest.Start(t)
	a := open(t, settings(server.Endpoint))
	ctx := t.Context()
	held := must[state.Lease](t)(a.Take(ctx, lease.Holder{Node: "a"}))
	for end := time.Now().Add(held.TTL + time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		held = must[state.Lease](t)(a.Renew(ctx, held))
	}
	last := held
	awaitFree(t, a)
	if left := last.Left(must[time.Duration](t)(clock.System().SinceBoot())); left > 0 {
		t.Errorf("etcd has ended the lease %s before its holder counts it as over", left)
	}
	var lost *lease.LostError
	if _, err := a.Renew(ctx, last); !errors.As(err, &lost) {
		t.Errorf("renewed: %v", err)
	}
}

func TestKeyRemovedByHand(t *testing.T) {
	server := leasetest.Start(t)
	a := open(t, settings(server.Endpoint))
	held := must[state.Lease](t)(a.Take(t.Context(), lease.Holder{Node: "a"}))
	if _, err := server.Client.Delete(t.Context(), "/understudy/active"); err != nil {
		t.Fatal(err)
	}
	var lost *lease.LostError
	if _, err := a.Renew(t.Context(), held); !errors.As(err, &lost) {
		t.Errorf("renewed: %v", err)
	}
}

// A foreign key keeps the lease held.
func TestForeignKey(t *testing.T) {
	server := leasetest.Start(t)
	if _, err := server.Client.Put(t.Context(), "/understudy/active", "what is this"); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, settings(server.Endpoint)).Take(t.Context(), lease.Holder{Node: "a"})
	var held *lease.HeldError
	if !errors.As(err, &held) {
		t.Errorf("%v", err)
	}
}

// An etcd that hangs or is down costs no more than the time-out. Once it is back, it
// answers soon.
func TestAway(t *testing.T) {
	server := leasetest.Start(t)
	held := must[state.Lease](t)(open(t, settings(server.Endpoint)).Take(t.Context(), lease.Holder{Node: "a"}))
	cfg := settings(server.Endpoint)
	cfg.Timeout = time.Second
	a := open(t, cfg)
	away := func(what string) {
		t.Helper()
		began := time.Now()
		var silent *lease.UnreachableError
		if _, err := a.Renew(t.Context(), held); !errors.As(err, &silent) {
			t.Errorf("%s: %v", what, err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s: took %s", what, took)
		}
		if got := a.Members(t.Context()); got[0].Error == "" {
			t.Errorf("%s: %+v", what, got)
		}
	}
	server.Freeze()
	away("frozen")
	server.Thaw()
	server.End()
	away("down")
	server.Run()
	began := time.Now()
	for {
		if _, _, err := a.Holder(t.Context()); err == nil {
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatal("still not asked 20 s after it came back")
		}
	}
	if got := open(t, settings(server.Endpoint)).Members(t.Context()); got[0].Error != "" || got[0].Version == "" {
		t.Errorf("%+v", got)
	}
}

// With users, an expired token is replaced, and the password comes from a file that
// only its owner may access.
func TestUser(t *testing.T) {
	server := leasetest.Start(t, "--auth-token-ttl", "3") // logging in may take a second on a busy machine
	ctx := t.Context()
	for _, step := range []func() error{
		func() error { _, err := server.Client.UserAdd(ctx, "root", "secret"); return err },
		func() error { _, err := server.Client.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := server.Client.AuthEnable(ctx); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	var silent *lease.UnreachableError
	if _, _, err := open(t, settings(server.Endpoint)).Holder(ctx); !errors.As(err, &silent) {
		t.Errorf("without a user: %v", err)
	}
	cfg := settings(server.Endpoint)
	cfg.User, cfg.PasswordFile, cfg.TTL = "root", filepath.Join(t.TempDir(), "password"), 60*time.Second
	if err := os.WriteFile(cfg.PasswordFile, []byte("secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	a := open(t, cfg)
	var file *lease.FileError
	if _, _, err := a.Holder(ctx); !errors.As(err, &file) || strings.Contains(err.Error(), "secret") {
		t.Errorf("with a password that all can read: %v", err)
	}
	if err := os.Chmod(cfg.PasswordFile, 0o600); err != nil {
		t.Fatal(err)
	}
	held := must[state.Lease](t)(a.Take(ctx, lease.Holder{Node: "a"}))
	for range 2 {
		time.Sleep(3200 * time.Millisecond) // the token's life
		held = must[state.Lease](t)(a.Renew(ctx, held))
	}
}
