package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/understudy-ha/understudy/pkg/exit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := show(ctx, newScreen(os.Stdout))
	interrupted := ctx.Err() != nil
	stop()
	var hinted exit.Hinter
	switch {
	case err == nil:
		return
	case interrupted:
		fmt.Fprintln(os.Stderr, "\ndemo: interrupted; everything it made is removed")
		os.Exit(130)
	}
	fmt.Fprintf(os.Stderr, "\ndemo: error: %v\n", err)
	if errors.As(err, &hinted) {
		fmt.Fprintf(os.Stderr, "hint: %s\n", hinted.Hint())
	}
	os.Exit(1)
}
