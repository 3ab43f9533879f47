package config

import (
	"reflect"
	"slices"
	"strings"
)

// key is one field of Config, or of a struct in it, as its tags describe it.
type key struct {
	// path is the key as the file spells it, from the top: "ssh.port". For
	// the keys of list elements it is "nodes[].name".
	path  string
	name  string // the last part of path
	typ   reflect.Type
	oneOf []string // the allowed values; empty: any
	// def is the default as text; hasDefault tells "" from none.
	def        string
	hasDefault bool
	// inherits is the path of the key whose value this key takes when it is
	// not given.
	inherits string
	index    int   // of the field in its struct
	sub      []key // the keys below, for a mapping or the elements of a list
}

// scalar reports whether the key takes a single value.
func (k key) scalar() bool {
	return k.typ.Kind() != reflect.Struct && k.typ.Kind() != reflect.Slice
}

// elements reports whether the key takes a list of mappings.
func (k key) elements() bool {
	return k.typ.Kind() == reflect.Slice && k.typ.Elem().Kind() == reflect.Struct
}

// env returns the name of the environment variable for the key. Only scalar
// keys outside of lists have one.
func (k key) env() string {
	return "UNDERSTUDY_" + strings.ToUpper(strings.ReplaceAll(k.path, ".", "_"))
}

// names returns the names of the keys directly below.
func (k key) names() []string {
	names := make([]string, len(k.sub))
	for i, s := range k.sub {
		names[i] = s.name
	}
	return names
}

// find returns the key directly below with the given name.
func (k key) find(name string) (key, bool) {
	i := slices.IndexFunc(k.sub, func(s key) bool { return s.name == name })
	if i < 0 {
		return key{}, false
	}
	return k.sub[i], true
}

// walk calls visit for k and each key below, outside of lists.
func (k key) walk(visit func(key)) {
	visit(k)
	if k.elements() {
		return
	}
	for _, s := range k.sub {
		s.walk(visit)
	}
}

// schema returns the keys of Config as one mapping.
func schema() key {
	return key{typ: reflect.TypeFor[Config](), sub: keysOf(reflect.TypeFor[Config](), "", "")}
}

// keysOf reads the keys of a struct type. overrides is the default tag of the
// field that holds the struct: "name=value" for keys whose default depends on
// where the struct is used.
func keysOf(t reflect.Type, prefix, overrides string) []key {
	keys := make([]key, 0, t.NumField())
	for f := range t.Fields() {
		name, ok := f.Tag.Lookup("yaml")
		if !ok {
			continue
		}
		k := key{path: prefix + name, name: name, typ: f.Type, index: f.Index[0], inherits: f.Tag.Get("given")}
		if tag := f.Tag.Get("oneof"); tag != "" {
			k.oneOf = strings.Split(tag, ",")
		}
		switch def, hasDefault := f.Tag.Lookup("default"); {
		case f.Type.Kind() == reflect.Struct:
			k.sub = keysOf(f.Type, k.path+".", def)
			for i, s := range k.sub {
				if k.inherits != "" {
					k.sub[i].inherits = k.inherits + "." + s.name
				}
			}
		case k.elements():
			k.sub = keysOf(f.Type.Elem(), k.path+"[].", "")
		default:
			k.def, k.hasDefault = def, hasDefault
			if value, found := strings.CutPrefix(overrides, name+"="); found {
				k.def, k.hasDefault = value, true
			}
		}
		keys = append(keys, k)
	}
	return keys
}
