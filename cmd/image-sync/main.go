// Command image-sync copies to a node what its projects need to start offline: the
// newest files, and the images that the active node runs.
package main

import (
	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/images/command"
)

func main() { cli.Main(command.New) }
