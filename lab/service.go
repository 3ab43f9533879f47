package lab

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"al.essio.dev/pkg/shellescape"
)

// bootDir holds the scripts that a node calls with start at boot, in the order
// of their names, and with stop at an orderly shutdown, in reverse order.
const bootDir = "/etc/lab/boot.d"

// beforeDir and afterDir hold the commands that run before the service of that
// name stops, and after it ended.
const beforeDir, afterDir = "/etc/lab/before", "/etc/lab/after"

// Service is a program that a node starts at boot.
type Service struct {
	Name string
	// Order, 0 to 99, is the service's place among the others.
	Order int
	Argv  []string
	// Once marks a program that ends: the boot waits for its end, then starts
	// the next service. Other programs stay.
	Once bool
	// Optional services are skipped while their program is missing.
	Optional bool
	// Restart restarts the program when it dies.
	Restart bool
	// ProcessOnly leaves the children of the program alone when it ends.
	ProcessOnly bool
	// Before, where given, runs before the program is stopped in order, as
	// systemd's ExecStop does.
	Before []string
	// After, where given, runs each time the program has ended, except after
	// KillService.
	After []string
	// Ready, where given, is repeated after the start until it succeeds; then
	// the next service starts.
	Ready []string
}

// script returns the script of the service in bootDir.
func (s Service) script() string {
	argv := shellescape.QuoteCommand(s.Argv)
	var b strings.Builder
	b.WriteString("#!/bin/bash\n")
	if s.Optional {
		fmt.Fprintf(&b, "command -v %s >/dev/null || exit 0\n", shellescape.Quote(s.Argv[0]))
	}
	if s.Once {
		fmt.Fprintf(&b, "[ \"$1\" = start ] || exit 0\nmkdir -p /var/log/lab\n{ %s; } >>/var/log/lab/%s.log 2>&1\n", argv, s.Name)
		return b.String()
	}
	again, mode := "never", "group"
	if s.Restart {
		again = "always"
	}
	if s.ProcessOnly {
		mode = "process"
	}
	fmt.Fprintf(&b, "[ \"$1\" = start ] || exec lab-service \"$1\" %s\n", s.Name)
	fmt.Fprintf(&b, "lab-service start %s %s %s %s || exit\n", s.Name, again, mode, argv)
	if len(s.Ready) > 0 {
		fmt.Fprintf(&b, "until %s >/dev/null 2>&1; do\n\tlab-service running %s || { echo '%s ended while it started' >&2; exit 1; }\n\tsleep 0.1\ndone\n",
			shellescape.QuoteCommand(s.Ready), s.Name, s.Name)
	}
	return b.String()
}

// SetService adds a service to every boot of a node from now on, also after a
// power loss, or changes it.
func SetService(ctx context.Context, n Node, s Service) error {
	if !regexp.MustCompile(`^[a-z][a-z0-9-]*$`).MatchString(s.Name) || s.Order < 0 || s.Order > 99 || len(s.Argv) == 0 {
		return fmt.Errorf("service %q of node %s: want a name of small letters, an order of 0 to 99 and a program", s.Name, n.Name())
	}
	_, err := n.Run(ctx, Command{
		Argv: []string{"bash", "-euc", `mkdir -p "$1"; rm -f "$1"/[0-9][0-9]-"$3"; cat >"$1/$3.new"; chmod 755 "$1/$3.new"; sync "$1/$3.new"; mv "$1/$3.new" "$1/$2-$3"; sync "$1"`,
			"service", bootDir, fmt.Sprintf("%02d", s.Order), s.Name},
		Stdin: strings.NewReader(s.script()),
	})
	for dir, argv := range map[string][]string{beforeDir: s.Before, afterDir: s.After} {
		if err == nil && len(argv) > 0 {
			_, err = n.Run(ctx, Command{
				Argv:  []string{"bash", "-euc", `mkdir -p "$1"; cat >"$1/$2"; chmod 755 "$1/$2"; sync "$1/$2" "$1"`, "service", dir, s.Name},
				Stdin: strings.NewReader("#!/bin/bash\nexec " + shellescape.QuoteCommand(argv) + "\n"),
			})
		}
	}
	if err != nil {
		return fmt.Errorf("set service %s of node %s: %w", s.Name, n.Name(), err)
	}
	return nil
}

// StartService starts a service as the boot does, and waits until it is ready.
func StartService(ctx context.Context, n Node, name string) error {
	return callService(ctx, n, name, "start")
}

// StopService stops a service as an orderly shutdown does: with SIGTERM, and
// SIGKILL after a while.
func StopService(ctx context.Context, n Node, name string) error {
	return callService(ctx, n, name, "stop")
}

func callService(ctx context.Context, n Node, name, verb string) error {
	const script = `shopt -s nullglob; found=("$1"/[0-9][0-9]-"$2"); [ ${#found[@]} = 1 ] || { echo "there is no such service" >&2; exit 1; }; exec "${found[0]}" "$3" </dev/null`
	if _, err := n.Run(ctx, Argv("bash", "-euc", script, "service", bootDir, name, verb)); err != nil {
		return fmt.Errorf("%s service %s of node %s: %w", verb, name, n.Name(), err)
	}
	return nil
}

// StartServices starts all services of a node in order, as its boot does.
func StartServices(ctx context.Context, n Node) error {
	const script = `for s in "$1"/[0-9][0-9]-*; do timeout 240 "$s" start </dev/null || { echo "$s failed" >&2; exit 1; }; done`
	if _, err := n.Run(ctx, Argv("bash", "-euc", script, "service", bootDir)); err != nil {
		return fmt.Errorf("start the services of node %s: %w", n.Name(), err)
	}
	return nil
}

// SignalService sends a signal, such as KILL, STOP or HUP, to the service's
// program alone.
func SignalService(ctx context.Context, n Node, name, signal string) error {
	if _, err := n.Run(ctx, Argv("bash", "-euc", `kill "-$2" "$(lab-service pid "$1")"`, "service", name, signal)); err != nil {
		return fmt.Errorf("send SIG%s to service %s of node %s: %w", signal, name, n.Name(), err)
	}
	return nil
}

// KillService kills every process of the service at once; nothing restarts it.
func KillService(ctx context.Context, n Node, name string) error {
	if _, err := n.Run(ctx, Argv("bash", "-euc", `touch "/run/lab/$1.stop" "/run/lab/$1.killed"; echo 1 >"/sys/fs/cgroup/lab-$1/cgroup.kill"`, "service", name)); err != nil {
		return fmt.Errorf("kill service %s of node %s: %w", name, n.Name(), err)
	}
	return nil
}
