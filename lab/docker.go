package lab

import (
	"context"
	"fmt"
	"os"
)

// DockerService is the Docker Engine as a service of a node. It restarts as
// Docker's own unit does and leaves its containers alone when it dies.
func DockerService(order int, args ...string) Service {
	return Service{
		Name: "docker", Order: order, Argv: append([]string{"dockerd"}, args...),
		Restart: true, ProcessOnly: true,
		Ready: []string{"docker", "version"},
	}
}

// LoadImage gives a node's Docker Engine an image from a file of the host, as
// "docker save" writes it.
func LoadImage(ctx context.Context, n Node, hostPath string) error {
	file, err := os.Open(hostPath)
	if err != nil {
		return fmt.Errorf("load an image into node %s: %w", n.Name(), err)
	}
	defer file.Close()
	if _, err := n.Run(ctx, Command{Argv: []string{"docker", "load", "--quiet"}, Stdin: file}); err != nil {
		return fmt.Errorf("load %s into node %s: %w", hostPath, n.Name(), err)
	}
	return nil
}
