// Package image owns the node image: the recipe (the scripts beside this
// file, embedded), the cache in which what it makes is kept under the hash of
// the recipe, and the locks that let several labs and builders share it.
//
// It must not know how nodes are run.
package image
