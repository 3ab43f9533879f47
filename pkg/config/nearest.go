package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// fewKeys is how many keys of a mapping are listed in a message.
const fewKeys = 8

// nearest returns what may have been meant by a name that is no key of k: a key
// of k that is nearly spelled so, one of that name elsewhere, or else what k has.
// It begins with "; ", or is empty.
func (root key) nearest(k key, name string) string {
	// YAML's keys are often written in another style: identityFile.
	plain := strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	if meant := didYouMean(plain, k.names()); meant != "" {
		return meant
	}
	var elsewhere []string
	root.each(func(one key) {
		if one.name == plain {
			elsewhere = append(elsewhere, fmt.Sprintf("%q", one.path))
		}
	})
	if len(elsewhere) > 0 && len(elsewhere) <= fewKeys {
		return "; there is " + strings.Join(elsewhere, ", ")
	}
	if names := k.names(); len(names) <= fewKeys {
		return "; here belong " + strings.Join(names, ", ")
	}
	return ""
}

// each calls visit for each key below k, also for those of the elements of lists.
func (k key) each(visit func(key)) {
	for _, sub := range k.sub {
		visit(sub)
		sub.each(visit)
	}
}

// Misspelt returns a sentence for each of a process's variables, as os.Environ has
// them, that no key has but that is nearly the one of a key. Nothing else would say
// so: a variable that no key has is nobody's.
func Misspelt(environ []string) []string {
	const prefix = "UNDERSTUDY_"
	names := []string{"CONFIG", "LOG_LEVEL", "LOG_FORMAT"}
	// Hooks are told by these, and what they start inherits them.
	others := []string{"ROLE", "TERM", "REASON", "HOOK", "SNAPSHOT"}
	schema().walk(func(k key) {
		if k.path != "" && k.typ.Kind() != reflect.Struct {
			names = append(names, strings.TrimPrefix(k.env(), prefix))
		}
	})
	var list []string
	for _, variable := range environ {
		variable, _, _ = strings.Cut(variable, "=")
		name, ours := strings.CutPrefix(variable, prefix)
		if !ours || slices.Contains(names, name) || slices.Contains(others, name) {
			continue
		}
		if meant, found := nearestOf(name, names); found {
			list = append(list, fmt.Sprintf("%s%s: no key has it; did you mean %s?", environment, variable, prefix+meant))
		}
	}
	return list
}
