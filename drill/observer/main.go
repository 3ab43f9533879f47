// Command observer is both ends of the observation in package observe: "observer
// node" runs on each node, "observer watch" in the lab's network.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"github.com/understudy-ha/understudy/drill/observe"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "observer: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 4 && args[0] == "node":
		address, err := netip.ParseAddr(args[2])
		if err != nil {
			return err
		}
		return observe.View{Address: address, Below: args[3]}.Answer(ctx, args[1])
	case len(args) == 2 && args[0] == "watch":
		var w observe.Watch
		if err := json.Unmarshal([]byte(args[1]), &w); err != nil {
			return err
		}
		return w.Run(ctx, os.Stdout)
	}
	return fmt.Errorf("usage: observer node LISTEN ADDRESS FOLDER | observer watch JSON")
}
