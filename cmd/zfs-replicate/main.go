// Command zfs-replicate replicates ZFS datasets from the active node of a pair
// to its standbys.
package main

import (
	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/replicate/command"
)

func main() { cli.Main(command.New) }
