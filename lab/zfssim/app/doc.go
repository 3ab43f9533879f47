// Package app is one run of zfs or zpool: its streams, options, usage texts, and
// what several commands do alike.
package app
