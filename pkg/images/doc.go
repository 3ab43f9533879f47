// Package images owns what a node needs to start its projects offline: the
// checkout of their files, which is fetched and fast-forwarded, and their
// images, which follow those that the active node runs. An image comes from its
// registry by the active node's digest, or from the active node itself.
//
// It must not know how roles change, and it starts and stops no container.
package images
