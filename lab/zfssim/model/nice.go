package model

import (
	"fmt"
	"strconv"
	"strings"
)

// Nice prints a number as libzfs does: at most four digits and a unit.
func Nice(n uint64) string { return niceNumber(n, "") }

// NiceBytes is nice with "B" for plain bytes.
func NiceBytes(n uint64) string { return niceNumber(n, "B") }

func niceNumber(n uint64, plain string) string {
	units := []string{plain, "K", "M", "G", "T", "P", "E"}
	i, v := 0, n
	for v >= 1024 && i < len(units)-1 {
		v /= 1024
		i++
	}
	if i == 0 {
		return strconv.FormatUint(n, 10) + plain
	}
	base := uint64(1) << (10 * i)
	if n%base == 0 {
		return fmt.Sprintf("%d%s", n/base, units[i])
	}
	for prec := 2; prec >= 0; prec-- {
		s := fmt.Sprintf("%.*f%s", prec, float64(n)/float64(base), units[i])
		if len(s) <= 5 {
			return s
		}
	}
	return fmt.Sprintf("%d%s", v, units[i])
}

// ParseNumber reads a number with an optional unit such as 10, 1.5G or 64KB.
func ParseNumber(s string) (uint64, bool) {
	s = strings.TrimSpace(s)
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.') {
		i++
	}
	num, unit := s[:i], strings.ToUpper(s[i:])
	if num == "" {
		return 0, false
	}
	unit = strings.TrimSuffix(strings.TrimSuffix(unit, "B"), "I")
	shift := 0
	if unit != "" {
		at := strings.Index("KMGTPE", unit)
		if at < 0 || len(unit) != 1 {
			return 0, false
		}
		shift = 10 * (at + 1)
	}
	if strings.Contains(num, ".") {
		f, err := strconv.ParseFloat(num, 64)
		if err != nil {
			return 0, false
		}
		return uint64(f * float64(uint64(1)<<shift)), true
	}
	n, err := strconv.ParseUint(num, 10, 64)
	if err != nil {
		return 0, false
	}
	return n << shift, true
}
