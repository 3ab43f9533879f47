// Package container makes the container images of the lab's nodes without a
// registry: each holds one static program, in a file for "docker load". The
// program of Traefik is built from source, which takes minutes, and kept in the
// lab's cache.
//
// It must not know the purpose of the containers.
package container
