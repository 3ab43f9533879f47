package config

import (
	"bytes"
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// YAML returns the configuration with all its values as a file that Load
// reads again; a comment at each value says where it comes from.
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
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: format(v), LineComment: c.origin(k, path)}
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
