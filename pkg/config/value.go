package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes.
type Size uint64

// String returns the size as the configuration takes it, without rounding
// unless it is whole in a larger unit.
func (s Size) String() string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	n, u := uint64(s), 0
	for n != 0 && n%1024 == 0 && u < len(units)-1 {
		n, u = n/1024, u+1
	}
	return strconv.FormatUint(n, 10) + units[u]
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[Size]()
)

// typeName names a type of value for messages and the page of keys.
func typeName(t reflect.Type) string {
	switch {
	case t == durationType:
		return "duration"
	case t == sizeType:
		return "size"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "number"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return "list of mappings"
	case t.Kind() == reflect.Slice:
		return "list"
	}
	return "mapping"
}

// parse reads a value of a scalar type. All sources (file, environment, flag
// and the default tags) go through it, so that a value means the same
// wherever it stands.
func (k key) parse(text string) (any, error) {
	switch {
	case k.typ == durationType:
		return parseDuration(text)
	case k.typ == sizeType:
		return parseSize(text)
	case k.typ.Kind() == reflect.Bool:
		switch text {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, fmt.Errorf("%q is neither true nor false", text)
	case k.typ.Kind() == reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", text)
		}
		if n < 0 {
			return nil, fmt.Errorf("%d is negative", n)
		}
		return n, nil
	}
	if len(k.oneOf) > 0 && !slices.Contains(k.oneOf, text) {
		return nil, fmt.Errorf("%q is not one of %s%s", text, strings.Join(k.oneOf, ", "), didYouMean(text, k.oneOf))
	}
	return text, nil
}

// ParseDuration reads a duration as the file has it, for flags: 30s, 2d, 1w.
func ParseDuration(text string) (time.Duration, error) { return parseDuration(text) }

// parseDuration is time.ParseDuration with days and weeks, and with a unit on
// every number: a bare 30 would mean nanoseconds to Go and seconds to people.
func parseDuration(text string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, fmt.Errorf("%q has no unit; write %ss, %sm or %sh", text, text, text, text)
	}
	var total time.Duration
	rest := text
	for _, unit := range []struct {
		suffix string
		length time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		before, after, found := strings.Cut(rest, unit.suffix)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(before, 10, 16)
		if err != nil {
			return 0, badDuration(text)
		}
		total += time.Duration(n) * unit.length
		rest = after
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil {
			return 0, badDuration(text)
		}
		if d < 0 {
			return 0, fmt.Errorf("%q is negative", text)
		}
		total += d
	}
	if text == "" || total < 0 {
		return 0, badDuration(text)
	}
	return total, nil
}

func badDuration(text string) error {
	return fmt.Errorf("%q is not a duration such as 30s, 5m, 1h30m or 2d", text)
}

// parseSize reads 20MiB, 20MB (a million each) or 0. A bare number is refused
// for the reason that parseDuration has; "/s" may follow, as one writes rates.
func parseSize(text string) (Size, error) {
	if text == "0" {
		return 0, nil
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, fmt.Errorf("%q has no unit; write %sMiB, or %sB for bytes", text, text, text)
	}
	digits := strings.TrimRight(strings.TrimSuffix(text, "/s"), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit, known := sizeUnit(strings.ToLower(strings.TrimSpace(strings.TrimSuffix(text, "/s")[len(digits):])))
	number, err := strconv.ParseFloat(digits, 64)
	if err != nil || !known || number < 0 {
		return 0, fmt.Errorf("%q is not a size such as 512KiB, 20MiB or 1GiB", text)
	}
	if number*unit >= math.MaxInt64 {
		return 0, errors.New("the size is too large")
	}
	return Size(number * unit), nil
}

// sizeUnit returns the bytes of a unit in small letters: b, k, kb, kib, …
func sizeUnit(name string) (bytes float64, known bool) {
	if name == "b" {
		return 1, true
	}
	power := strings.IndexByte("kmgtpe", (name + " ")[0]) + 1
	if power == 0 {
		return 0, false
	}
	switch name[1:] {
	case "", "b":
		return math.Pow(1000, float64(power)), true
	case "i", "ib":
		return math.Pow(1024, float64(power)), true
	}
	return 0, false
}

// format writes a scalar value as parse reads it.
func format(v reflect.Value) string {
	if v.Type() == durationType {
		return formatDuration(v.Interface().(time.Duration))
	}
	return fmt.Sprint(v.Interface())
}

// formatDuration drops the zero units that time.Duration prints: 2m, not 2m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// didYouMean returns `; did you mean "X"?` for the candidate nearest to word,
// or nothing when none is near.
func didYouMean(word string, candidates []string) string {
	if best, found := nearestOf(word, candidates); found {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return ""
}

// nearestOf returns the candidate nearest to word, if any is near.
func nearestOf(word string, candidates []string) (best string, found bool) {
	bestDistance := max(2, len(word)/3) + 1
	for _, c := range candidates {
		if d := distance(word, c); d < bestDistance {
			best, bestDistance, found = c, d, true
		}
	}
	return best, found
}

// distance is the Levenshtein distance of two words in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
