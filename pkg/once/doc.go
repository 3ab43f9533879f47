// Package once sends an HTTP request over a connection of its own, in the
// caller's goroutine. It is for programs that live for a few milliseconds: the
// pool and the goroutines of net/http's transport would take a good part of that.
//
// It is for small requests to one known server: no redirects, no proxies, no
// HTTP/2, and the whole request is sent before the answer is read. It must not
// know who is asked.
package once
