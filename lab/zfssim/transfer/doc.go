// Package transfer is zfs send and zfs receive.
package transfer
