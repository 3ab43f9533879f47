// Package lease asks etcd for the lease that a node needs to be active: a key
// with the node's name, which etcd removes when the lease is not renewed in time.
//
// It must not know what a role is, nor when a lease that can't be renewed has to
// be released: it says what etcd has confirmed, and since when.
package lease
