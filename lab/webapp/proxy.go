package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// proxy behaves like Traefik where others depend on it: ping on an entry point
// of its own, 503 there while it terminates, 404 without a route, and 502 for a
// service that does not answer.
type proxy struct {
	// brokenFile: while this file exists, every answer is 500.
	brokenFile  string
	terminating atomic.Bool
	transport   *http.Transport
}

func runProxy(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("webapp proxy", flag.ContinueOnError)
	web := flags.String("web", ":80", "address to route from")
	ping := flags.String("ping", ":8080", "address of /ping")
	broken := flags.String("broken", "/broken", "while this file exists, every answer is 500")
	slowStart := flags.Duration("slow-start", 0, "time before it serves")
	grace := flags.Duration("grace", 0, "time to continue, with /ping answering 503, after the signal to stop")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pause(ctx, *slowStart)
	p := &proxy{brokenFile: *broken, transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		ResponseHeaderTimeout: 5 * time.Second, MaxIdleConnsPerHost: 8, IdleConnTimeout: 10 * time.Second,
	}}
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	go func() {
		<-ctx.Done()
		p.terminating.Store(true)
		time.Sleep(*grace)
		end()
	}()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", p.ping)
	pings, routes := make(chan error, 1), make(chan error, 1)
	go func() { pings <- serve(serving, *ping, mux); end() }()
	go func() { routes <- serve(serving, *web, http.HandlerFunc(p.route)); end() }()
	return errors.Join(<-pings, <-routes)
}

func (p *proxy) isBroken(w http.ResponseWriter) bool {
	if _, err := os.Stat(p.brokenFile); errors.Is(err, fs.ErrNotExist) {
		return false
	}
	http.Error(w, "broken", http.StatusInternalServerError)
	return true
}

func (p *proxy) ping(w http.ResponseWriter, _ *http.Request) {
	switch {
	case p.isBroken(w):
	case p.terminating.Load():
		http.Error(w, "terminating", http.StatusServiceUnavailable)
	default:
		fmt.Fprint(w, "OK")
	}
}

// route sends /NAME/… to http://NAME:8000/….
func (p *proxy) route(w http.ResponseWriter, r *http.Request) {
	if p.isBroken(w) {
		return
	}
	name, rest, found := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !found || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		http.NotFound(w, r)
		return
	}
	backend := httputil.ReverseProxy{Transport: p.transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: name + ":8000"})
		r.Out.URL.Path = "/" + rest
	}, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}}
	backend.ServeHTTP(w, r)
}
