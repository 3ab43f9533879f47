// Package once sends an HTTP request over a connection of its own, in the
// caller's goroutine: for programs that live for a few milliseconds, of which
// the pool and the goroutines of net/http's own transport would be a part that
// shows.
//
// It is for small requests to one known server: no redirects, no proxies, no
// HTTP/2, and the whole request is sent before an answer is looked for. It must
// not know who is asked.
package once
