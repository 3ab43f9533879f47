// Package memory is a machine without files, for simulations in one process.
//
// It must not know pools or commands.
package memory
