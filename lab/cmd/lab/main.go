// Command lab makes labs for manual use: nodes in a network of their own, to
// inspect, break and remove. See lab/README.md.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(os.Args[1:])
	if err := root.ExecuteContext(ctx); err != nil {
		code := exitCode(err)
		if text := err.Error(); text != "" {
			fmt.Fprintln(os.Stderr, "lab: error:", text)
		}
		os.Exit(code)
	}
}
