package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker (-X) in builds by the Makefile; nothing else
// ever assigns it.
var version string

// Version returns the program's version, with the commit it was built from
// where that is known, and its platform.
func Version() string {
	v, commit := version, ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if v == "" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				commit = ", commit " + s.Value[:12]
			}
		}
	}
	if v == "" {
		v = "(devel)"
	}
	return fmt.Sprintf("%s (%s %s/%s%s)", v, runtime.Version(), runtime.GOOS, runtime.GOARCH, commit)
}
