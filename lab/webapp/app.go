package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// app appends received writes to a file, a numbered line each.
type app struct {
	name, node string

	mu    sync.Mutex
	file  *os.File
	count int
}

func runApp(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("webapp app", flag.ContinueOnError)
	name := flags.String("name", "app", "name of the application")
	dir := flags.String("dir", "/data", "folder to write to")
	listen := flags.String("listen", ":8000", "address to serve on")
	slowStart := flags.Duration("slow-start", 0, "wait so long before serving")
	slowStop := flags.Duration("slow-stop", 0, "wait so long when told to stop")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pause(ctx, *slowStart)
	a, err := openApp(*name, os.Getenv("NODE"), *dir)
	if err != nil {
		return err
	}
	defer a.file.Close()
	err = serve(ctx, *listen, a.handler())
	// A slow program continues for a while after the signal.
	time.Sleep(*slowStop)
	return err
}

// openApp continues at the end of the file.
func openApp(name, node, dir string) (*app, error) {
	file, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", name, err)
	}
	a := &app{name: name, node: node, file: file}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		a.count++
	}
	if err := lines.Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("read the log of %s: %w", name, err), file.Close())
	}
	return a, nil
}

func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		w.Header().Set("X-Node", a.node)
		fmt.Fprintf(w, "%s on %s: %d written\n", a.name, a.node, a.count)
	})
	mux.HandleFunc("POST /write", func(w http.ResponseWriter, r *http.Request) {
		number, err := a.write(r.URL.Query().Get("id"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("X-Node", a.node)
		fmt.Fprintln(w, number)
	})
	return mux
}

// write appends a line and returns its number once it is on the disk: only then
// may the client rely on it.
func (a *app) write(id string) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	line := fmt.Sprintf("%d %s %s %s\n", a.count+1, id, a.node, time.Now().UTC().Format(time.RFC3339Nano))
	if _, err := a.file.WriteString(line); err != nil {
		return 0, err
	}
	if err := a.file.Sync(); err != nil {
		return 0, err
	}
	a.count++
	return a.count, nil
}
