// Command registry is a container registry that fails on request. It makes its
// images itself and is controlled by HTTP:
//
//	POST /lab/image?ref=app:1&seed=7&bytes=100000   make an image that runs PROGRAM
//	PUT  /lab/faults                                replace the faults (JSON, a list of fault)
//	GET  /lab/log                                   the requests since the last time, a line each
//
// The same seed and size make the same image, so that two registries can hold
// equal images.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "registry: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("registry", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:5000", "address")
	program := flags.String("program", "", "the static program that all images run")
	login := flags.String("login", "", "USER:PASSWORD that is asked for; empty: none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := newServer(*listen, *program, *login)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s}
	go func() {
		<-ctx.Done()
		_ = server.Close() // what hangs in it has to end too
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// lab answers the requests of the drill.
func (s *server) lab(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.URL.Path {
	case "/lab/image":
		err = s.make(r.URL.Query())
	case "/lab/faults":
		var faults []*fault
		if err = json.NewDecoder(r.Body).Decode(&faults); err == nil {
			err = s.set(faults)
		}
	case "/lab/log":
		for _, line := range s.taken() {
			fmt.Fprintln(w, line)
		}
	default:
		http.NotFound(w, r)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}
