package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// YAML returns the configuration with all its values as a file that Load
// reads again; a comment at each value says where it comes from. Secrets are
// masked.
func (c *Config) YAML() ([]byte, error) {
	node := c.node(reflect.ValueOf(c).Elem(), schema(), "")
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(node); err != nil {
		return nil, fmt.Errorf("write config as YAML: %w", err)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("write config as YAML: %w", err)
	}
	return b.Bytes(), nil
}

// node returns the YAML of a mapping, with the keys below k, that stands at
// path.
func (c *Config) node(v reflect.Value, k key, path string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, sub := range k.sub {
		at := sub.name
		if path != "" {
			at = path + "." + sub.name
		}
		name := &yaml.Node{Kind: yaml.ScalarNode, Value: sub.name}
		n.Content = append(n.Content, name, c.valueNode(v.Field(sub.index), sub, at))
	}
	return n
}

func (c *Config) valueNode(v reflect.Value, k key, path string) *yaml.Node {
	switch {
	case v.Kind() == reflect.Struct:
		return c.node(v, k, path)
	case v.Kind() == reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		if v.Len() == 0 {
			n.Style = yaml.FlowStyle
			n.LineComment = c.origin(k, path)
		}
		for i := range v.Len() {
			at := fmt.Sprintf("%s[%d]", path, i)
			if k.elements() {
				n.Content = append(n.Content, c.node(v.Index(i), k, at))
				continue
			}
			n.Content = append(n.Content, c.scalarNode(v.Index(i), k, at))
		}
		return n
	}
	return c.scalarNode(v, k, path)
}

// scalarNode returns the YAML of a single value of a key, or of an element of
// a list, which has no key of its own.
func (c *Config) scalarNode(v reflect.Value, k key, path string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: masked(format(v)), LineComment: c.origin(k, path)}
	if v.Kind() == reflect.String {
		n.Tag = "!!str" // quotes what would read as something else
	}
	return n
}

// origin says where the value at path comes from.
func (c *Config) origin(k key, path string) string {
	if at, given := c.sources[path]; given {
		return at.where
	}
	if k.inherits != "" {
		return "as " + k.inherits
	}
	return "default"
}

// Value is a value in force.
type Value struct {
	// Key is its path, such as "nodes[0].name".
	Key string `json:"key"`
	// Value is a bool, a number, a text as the file takes it, or an empty list.
	// Secrets are masked.
	Value any `json:"value"`
	// Origin is "default", "file", "environment", "flag" or "inherited".
	Origin string `json:"origin"`
	// Where is FILE:LINE, the name of the variable or of the flag, or the key that
	// it is inherited from.
	Where string `json:"where,omitempty"`
}

// Values returns all values in the order of the keys.
func (c *Config) Values() []Value {
	return c.values(nil, reflect.ValueOf(c).Elem(), schema(), "")
}

func (c *Config) values(list []Value, v reflect.Value, k key, path string) []Value {
	for _, sub := range k.sub {
		at, field := sub.name, v.Field(sub.index)
		if path != "" {
			at = path + "." + sub.name
		}
		switch {
		case field.Kind() == reflect.Struct:
			list = c.values(list, field, sub, at)
		case field.Kind() == reflect.Slice && field.Len() == 0:
			list = append(list, c.value(sub, at, []any{}))
		case field.Kind() == reflect.Slice:
			for i := range field.Len() {
				element := fmt.Sprintf("%s[%d]", at, i)
				if sub.elements() {
					list = c.values(list, field.Index(i), sub, element)
				} else {
					list = append(list, c.value(sub, element, masked(format(field.Index(i)))))
				}
			}
		case field.Kind() == reflect.Bool, field.Type() == reflect.TypeFor[int]():
			list = append(list, c.value(sub, at, field.Interface()))
		default:
			list = append(list, c.value(sub, at, masked(format(field))))
		}
	}
	return list
}

func (c *Config) value(k key, path string, value any) Value {
	one := Value{Key: path, Value: value, Origin: "default"}
	at, given := c.sources[path]
	name, inEnvironment := strings.CutPrefix(at.where, environment)
	switch {
	case given && inEnvironment:
		one.Origin, one.Where = "environment", name
	case given && at.line > 0:
		one.Origin, one.Where = "file", at.where
	case given:
		one.Origin, one.Where = "flag", at.where
	case k.inherits != "":
		one.Origin, one.Where = "inherited", k.inherits
	}
	return one
}

// JSON returns all values with where they come from.
func (c *Config) JSON() ([]byte, error) {
	data, err := json.MarshalIndent(struct {
		File   string  `json:"file"`
		Values []Value `json:"values"`
	}{c.file, c.Values()}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write config as JSON: %w", err)
	}
	return append(data, '\n'), nil
}
