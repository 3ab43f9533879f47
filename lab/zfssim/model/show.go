package model

import (
	"strconv"
)

// FixedAtCreation tells the properties of a file system's format, which have
// no source.
func FixedAtCreation(name string) bool {
	switch name {
	case "version", "utf8only", "normalization", "casesensitivity":
		return true
	}
	return false
}

// ShowNumber prints a stored number the way its property is printed.
func ShowNumber(name, val string, literal bool) string {
	n, err := strconv.ParseUint(val, 10, 64)
	if err != nil {
		return val
	}
	switch name {
	case "filesystem_limit", "snapshot_limit":
		if n == ^uint64(0) {
			return "none"
		}
	case "quota", "refquota", "reservation", "refreservation":
		if n == 0 && !literal {
			return "none"
		}
	}
	if literal {
		return val
	}
	return Nice(n)
}

func BoolNumber(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func YesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func OnOffText(b bool) string {
	if b {
		return "on"
	}
	return "off"
}
