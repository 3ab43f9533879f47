package hub

import (
	"context"
	"fmt"
	"net"
	"net/rpc"
	"time"
)

// Client talks to a running hub.
type Client struct{ rpc *rpc.Client }

// Dial connects to the hub of that lab.
func Dial(ctx context.Context, spec Spec) (*Client, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", spec.Socket())
	if err != nil {
		return nil, fmt.Errorf("reach the hub of lab %s: %w", spec.Name, err)
	}
	return &Client{rpc.NewClient(conn)}, nil
}

// Close ends the connection, not the hub.
func (c *Client) Close() error { return c.rpc.Close() }

// Node asks the hub to do method to a node: Start, Kill, WaitOff, Freeze,
// Thaw, Cut or Restore.
func (c *Client) Node(ctx context.Context, method string, args NodeArgs) error {
	return c.call(ctx, method, args, &None{})
}

// Status returns each node's state.
func (c *Client) Status(ctx context.Context) (map[string]State, error) {
	states := map[string]State{}
	err := c.call(ctx, "Status", None{}, &states)
	return states, err
}

// Shutdown tells the hub to end.
func (c *Client) Shutdown(ctx context.Context) error {
	return c.call(ctx, "Shutdown", None{}, &None{})
}

func (c *Client) call(ctx context.Context, method string, args, answer any) error {
	call := c.rpc.Go("Hub."+method, args, answer, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		return call.Error
	case <-ctx.Done():
		return fmt.Errorf("ask the lab's hub to %s: %w", method, context.Cause(ctx))
	}
}
