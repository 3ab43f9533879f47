package lab

import (
	"context"
	"fmt"
	"os"
)

// DockerMinAPI is the environment variable that sets a minimum API version for
// all Docker Engines of a lab, such as 1.44, the minimum of Docker 29.0 to
// 29.2.
const DockerMinAPI = "LAB_DOCKER_MIN_API"

// DockerService is the Docker Engine as a service of a node. It restarts as
// Docker's own unit does, and leaves its containers alone when it dies.
func DockerService(order int, args ...string) Service {
	return DockerServiceFrom(os.Getenv(DockerMinAPI), order, args...)
}

// DockerServiceFrom is a Docker Engine that refuses API versions below minAPI;
// "" keeps its own minimum.
func DockerServiceFrom(minAPI string, order int, args ...string) Service {
	argv := append([]string{"dockerd"}, args...)
	if minAPI != "" {
		argv = append([]string{"env", "DOCKER_MIN_API_VERSION=" + minAPI}, argv...)
	}
	return Service{
		Name: "docker", Order: order, Argv: argv,
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
