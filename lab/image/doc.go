// Package image owns the node image: the recipe (the scripts beside this file,
// embedded), the cache of images under the hash of their recipe, and the locks
// that let several labs and builders share it.
//
// It must not know how nodes run.
package image
