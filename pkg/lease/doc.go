// Package lease takes, renews and releases the lease in etcd that a node needs to be
// active: a key with the node's name, which etcd removes if the lease is not renewed
// in time.
//
// It must not know what a role is, or when a node has to step down: it reports what
// etcd has confirmed, and since when.
package lease
