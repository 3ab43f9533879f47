// Command lag-check says what would be lost if the active node died now.
package main

import (
	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/lag/command"
)

func main() { cli.Main(command.New) }
