package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// LoadOptions says where values may come from.
type LoadOptions struct {
	// File is the configuration file; empty: the environment variable
	// UNDERSTUDY_CONFIG, else DefaultFile.
	File string
	// Data is what the file is to hold, where it is not written yet.
	Data []byte
	// Env looks up an environment variable, as os.Getenv does; nil: there is
	// no environment. Each scalar key outside of lists has a variable:
	// UNDERSTUDY_REPLICATION_PARALLEL for replication.parallel. An empty one
	// counts as not set.
	Env func(string) string
	// Flags maps the path of a key to the flag that sets it. Only flags that
	// were given on the command line count.
	Flags map[string]*pflag.Flag
}

// Load reads, merges and checks the configuration. What is wrong with the
// values is a *ConfigError that holds all of it; a file that can't be read is
// a *FileError.
func Load(o LoadOptions) (*Config, error) {
	if o.Env == nil {
		o.Env = func(string) string { return "" }
	}
	file := cmp.Or(o.File, o.Env("UNDERSTUDY_CONFIG"), DefaultFile)
	data, err := o.Data, error(nil)
	if data == nil {
		data, err = readFile(file)
	}
	if err != nil {
		return nil, err
	}
	root := schema()
	found := &problems{file: file}
	given := sources{}
	v := viper.New()

	r := reader{file: file, problems: found, sources: given, root: root}
	if err := v.MergeConfigMap(r.read(data)); err != nil {
		return nil, fmt.Errorf("merge config %s: %w", file, err)
	}
	if r.broken {
		return nil, found.err()
	}
	if err := v.MergeConfigMap(fromEnv(o.Env, root, found, given)); err != nil {
		return nil, fmt.Errorf("merge environment: %w", err)
	}
	if err := setFlags(v, o.Flags, root, found, given); err != nil {
		return nil, err
	}

	c := &Config{file: file, sources: given}
	all := reflect.ValueOf(c).Elem()
	root.setDefaults(all)
	// The values have their final types already, so anything that does not
	// fit is a bug here and not the user's mistake.
	err = v.UnmarshalExact(c, func(d *mapstructure.DecoderConfig) {
		d.TagName = "yaml"
		d.DecodeHook = nil
		d.WeaklyTypedInput = false
	})
	if err != nil {
		return nil, fmt.Errorf("decode config %s: %w", file, err)
	}
	root.inherit(all, given)
	c.validate(found)
	if err := found.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// environment stands before the name of a variable.
const environment = "environment variable "

// fromEnv returns the values that the environment gives.
func fromEnv(env func(string) string, root key, found *problems, given sources) map[string]any {
	values := map[string]any{}
	root.walk(func(k key) {
		if k.path == "" || k.typ.Kind() == reflect.Struct {
			return
		}
		text := env(k.env())
		if text == "" {
			return
		}
		at := source{where: environment + k.env()}
		if !k.scalar() {
			found.add(at, k.path, "is a list, which only the file can give; unset the variable")
			return
		}
		value, err := k.parse(text)
		if err != nil {
			found.add(at, k.path, "%v", err)
			return
		}
		given[k.path] = at
		put(values, k.path, value)
	})
	return values
}

// put stores value under a dotted path in nested maps.
func put(values map[string]any, path string, value any) {
	for {
		name, rest, more := strings.Cut(path, ".")
		if !more {
			values[name] = value
			return
		}
		below, ok := values[name].(map[string]any)
		if !ok {
			below = map[string]any{}
			values[name] = below
		}
		values, path = below, rest
	}
}

// setFlags puts the flags that were given above everything else.
func setFlags(v *viper.Viper, flags map[string]*pflag.Flag, root key, found *problems, given sources) error {
	if len(flags) == 0 {
		return nil
	}
	keys := map[string]key{}
	root.walk(func(k key) { keys[k.path] = k })
	paths := make([]string, 0, len(flags))
	for path := range flags {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		flag := flags[path]
		k, ok := keys[path]
		if !ok || !k.scalar() {
			return fmt.Errorf("flag --%s: %q is no single key of the config", flag.Name, path)
		}
		if !flag.Changed {
			continue
		}
		at := source{where: "--" + flag.Name}
		value, err := k.parse(flag.Value.String())
		if err != nil {
			found.add(at, path, "%v", err)
			continue
		}
		given[path] = at
		v.Set(path, value)
	}
	return nil
}

// setDefaults gives each key outside of lists its default. It writes them right
// into the struct: as values of viper's they would be half of what loading costs.
func (k key) setDefaults(v reflect.Value) {
	for _, sub := range k.sub {
		field := v.Field(sub.index)
		switch {
		case field.Kind() == reflect.Struct:
			sub.setDefaults(field)
		case sub.scalar() && sub.hasDefault:
			field.Set(reflect.ValueOf(sub.defaultValue()).Convert(field.Type()))
		}
	}
}

// inherit gives a key that inherits, and is not given, what the other key has,
// wherever that came from; the other key stands before it in Config.
func (k key) inherit(v reflect.Value, given sources) {
	k.walk(func(one key) {
		if one.inherits == "" || !one.scalar() {
			return
		}
		if _, own := given[one.path]; own {
			return
		}
		if other := k.at(v, one.inherits); other.IsValid() {
			k.at(v, one.path).Set(other)
		}
	})
}

// at returns the field of v under a dotted path, when there is one.
func (k key) at(v reflect.Value, path string) reflect.Value {
	for name := range strings.SplitSeq(path, ".") {
		sub, ok := k.find(name)
		if !ok {
			return reflect.Value{}
		}
		k, v = sub, v.Field(sub.index)
	}
	return v
}

// defaultValue returns the parsed default tag. That each parses is tested, so
// one that does not can't reach a user.
func (k key) defaultValue() any {
	value, err := k.parse(k.def)
	if err != nil {
		panic(fmt.Sprintf("config: default of %s: %v", k.path, err))
	}
	return value
}
