// Package container makes the container images that run on the lab's nodes,
// without a registry: each is one static program in a file that "docker load"
// takes. Traefik's program is built from source, which takes minutes, and kept
// in the lab's cache.
//
// It must not know what the containers are used for.
package container
