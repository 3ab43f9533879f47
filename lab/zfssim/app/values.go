package app

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/model"
)

// CheckValue brings a property's value into the form in which it is kept, or
// says what is wrong in the words of libzfs.
func (a *App) CheckValue(table map[string]model.Property, name, value string, kinds int, creating bool) (stored, why string) {
	if model.IsUserProperty(name) {
		if len(value) >= 8192 {
			return "", "property value too long"
		}
		return value, ""
	}
	p, ok := table[name]
	if !ok {
		if model.KnownStats()[name] {
			return "", fmt.Sprintf("'%s' is readonly", name)
		}
		return "", fmt.Sprintf("invalid property '%s'", name)
	}
	if p.Kinds&kinds == 0 {
		return "", fmt.Sprintf("'%s' does not apply to datasets of this type", name)
	}
	if p.Once && !creating {
		return "", fmt.Sprintf("'%s' is readonly", name)
	}
	if p.Number {
		if value == "none" {
			if strings.HasSuffix(name, "_limit") {
				return p.Def, ""
			}
			return "0", ""
		}
		n, ok := model.ParseNumber(value)
		if !ok {
			return "", fmt.Sprintf("bad numeric value '%s'", value)
		}
		if n == 0 && (name == "quota" || name == "refquota") {
			return "", "use 'none' to disable quota/refquota"
		}
		if name == "recordsize" && (n < 512 || n > 16<<20 || n&(n-1) != 0) {
			return "", "'recordsize' must be power of 2 from 512B to 16M"
		}
		return strconv.FormatUint(n, 10), ""
	}
	if p.Values != "" && !oneOf(name, value, p.Values) {
		return "", fmt.Sprintf("'%s' must be one of '%s'", name, p.Values)
	}
	if name == "mountpoint" && value != "none" && value != "legacy" && !strings.HasPrefix(value, "/") {
		return "", "'mountpoint' must be an absolute path, 'none', or 'legacy'"
	}
	return value, ""
}

func oneOf(name, value, values string) bool {
	if name == "compression" {
		for _, p := range []string{"gzip-", "zstd-fast-", "zstd-"} {
			if rest, ok := strings.CutPrefix(value, p); ok {
				if _, err := strconv.Atoi(rest); err == nil {
					return true
				}
			}
		}
	}
	return slices.Contains(strings.Split(values, " | "), value)
}
