// Package compose owns the Compose projects of the configuration: finding and
// reading them, starting them with docker compose, waiting until they serve,
// and stopping them so that none of their containers runs any more, also while
// the Docker Engine does not answer.
//
// It must not know why a project is to start or stop, or what a dataset is.
package compose
