package script_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
)

// takeMessages is a program for the scripts: "take-messages FILE" serves HTTP on
// a free port of 127.0.0.1, writes its address into FILE, and appends a line to
// FILE.got for each request: its path and its body as JSON text. While FILE.fail
// exists it answers 500.
func takeMessages() {
	if err := takeMessagesUntilKilled(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "take-messages: %v\n", err)
		os.Exit(1)
	}
}

func takeMessagesUntilKilled(file string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	got, err := os.OpenFile(file+".got", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer got.Close()
	var mu sync.Mutex
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if _, err := os.Stat(file + ".fail"); err == nil {
			http.Error(w, "broken", http.StatusInternalServerError)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		text, _ := json.Marshal(string(body))
		fmt.Fprintf(got, "%s %s\n", r.URL.Path, text)
	})
	temporary := filepath.Join(filepath.Dir(file), ".address")
	if err := os.WriteFile(temporary, []byte(listener.Addr().String()+"\n"), 0o644); err != nil {
		return err
	}
	if err := os.Rename(temporary, file); err != nil {
		return err
	}
	return http.Serve(listener, handler)
}

// answerAsEngine is a program for the scripts: "answer-as-engine FOLDER" is a
// Docker Engine at the socket FOLDER.sock that only knows what lies in the
// folder: the answer to GET /images/web:1/json is the file images/web:1/json.
func answerAsEngine() {
	folder := os.Args[1]
	listener, err := net.Listen("unix", folder+".sock")
	if err == nil {
		err = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path := regexp.MustCompile(`^/v[0-9.]+/`).ReplaceAllString(r.URL.Path, "/")
			answer, err := os.ReadFile(filepath.Join(folder, path))
			if err != nil {
				http.Error(w, `{"message": "no such thing"}`, http.StatusNotFound)
				return
			}
			w.Write(answer)
		}))
	}
	fmt.Fprintf(os.Stderr, "answer-as-engine: %v\n", err)
	os.Exit(1)
}
