package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker (-X) in builds by the Makefile; nothing else
// ever assigns it.
var version string

// Version returns the program's version and its platform.
func Version() string {
	v := version
	if info, ok := debug.ReadBuildInfo(); ok && v == "" {
		v = info.Main.Version // that of "go install …@v1.2.3"
	}
	if v == "" {
		v = "(devel)"
	}
	return fmt.Sprintf("%s (%s %s/%s)", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
