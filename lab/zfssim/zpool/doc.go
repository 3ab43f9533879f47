// Package zpool holds the commands of zpool.
package zpool
