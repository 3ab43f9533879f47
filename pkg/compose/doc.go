// Package compose owns the Compose projects of the configuration: it finds and
// reads them, starts them with docker compose, and waits until they serve. It
// stops them so that none of their containers runs any more, also while the
// Docker Engine does not answer.
//
// It must not know why a project is to start or stop, or what a dataset is.
package compose
