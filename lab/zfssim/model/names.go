package model

import (
	"strings"
)

func ParentName(name string) string {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return ""
	}
	return name[:i]
}

const maxNameLen = 256 // ZFS_MAX_DATASET_NAME_LEN, with the final zero

// CheckName says why name is not a valid name for an object of one of the
// kinds, in the words of libzfs; empty means that it is valid. modifying is
// set where the object is made or changed, where '%' is not allowed.
func CheckName(name string, kinds int, modifying bool) string {
	has := func(c string) bool { return strings.Contains(name, c) }
	switch {
	case kinds&KindSnapshot == 0 && has("@"):
		return "snapshot delimiter '@' is not expected here"
	case kinds == KindSnapshot && !has("@"):
		return "missing '@' delimiter in snapshot name"
	case kinds&KindBookmark == 0 && has("#"):
		return "bookmark delimiter '#' is not expected here"
	case kinds == KindBookmark && !has("#"):
		return "missing '#' delimiter in bookmark name"
	case modifying && has("%"):
		return "invalid character % in name"
	}
	return checkEntity(name)
}

func checkEntity(name string) string {
	switch {
	case len(name) >= maxNameLen:
		return "name is too long"
	case strings.HasPrefix(name, "/"):
		return "leading slash in name"
	case name == "":
		return "empty component or misplaced '@' or '#' delimiter in name"
	}
	delim := false
	for start := 0; ; {
		end := start
		for end < len(name) && !strings.ContainsRune("/@#", rune(name[end])) {
			end++
		}
		if end == len(name) && end > 0 && name[end-1] == '/' {
			return "trailing slash in name"
		}
		part := name[start:end]
		for i := 0; i < len(part); i++ {
			if !validNameByte(part[i]) {
				return "invalid character '" + string(part[i:i+1]) + "' in name"
			}
		}
		if end == len(name) || name[end] == '/' {
			if part == "." {
				return "self reference, '.' is found in name"
			}
			if part == ".." {
				return "parent reference, '..' is found in name"
			}
		}
		if end < len(name) && name[end] != '/' {
			if delim {
				return "multiple '@' and/or '#' delimiters in name"
			}
			delim = true
		}
		if part == "" {
			return "empty component or misplaced '@' or '#' delimiter in name"
		}
		if end == len(name) {
			return ""
		}
		if name[end] == '/' && delim {
			return "trailing slash in name"
		}
		start = end + 1
	}
}

func validNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte("-_.: %", c) >= 0
}

func PoolOf(name string) string { p, _, _ := strings.Cut(name, "/"); return p }
