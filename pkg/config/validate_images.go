package config

import "strings"

// images checks how images are fetched.
func (k checker) images() {
	i := k.config.Images
	if i.Parallel < 1 {
		k.bad("images.parallel", "must be at least 1")
	}
	if i.Keep < 0 {
		k.bad("images.keep", "must not be below 0")
	}
	if b := i.Branch; strings.HasPrefix(b, "-") || strings.HasPrefix(b, "/") || strings.HasSuffix(b, "/") || strings.ContainsAny(b, " ~^:?*[\\\t\n") || strings.Contains(b, "..") {
		k.bad("images.branch", "%q is not the name of a branch", b)
	}
}
