// Package stream owns the format of streams and of resume tokens.
//
// It must not know where the contents come from or go to.
package stream
