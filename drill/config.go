package drill

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/understudy-ha/understudy/lab"
)

// Config is a pair's configuration while it is assembled.
type Config map[string]any

// newConfig replicates the whole pool between nodes of descending priority,
// without requiring roles.
func newConfig(nodes []lab.Node) Config {
	var list []any
	for i, n := range nodes {
		list = append(list, Config{"name": n.Name(), "address": n.Address(), "priority": 100 - 10*i})
	}
	return Config{
		"nodes": list,
		"ssh": Config{
			"user":             "root",
			"identity_file":    "/etc/understudy/id_ed25519",
			"known_hosts_file": "/etc/understudy/known_hosts",
		},
		"replication": Config{
			"require_role": false,
			"datasets":     []any{Config{"name": Pool}},
		},
	}
}

// Set sets a key; its parts are separated by dots: replication.bandwidth.
func (c Config) Set(key string, value any) {
	parent, rest, nested := strings.Cut(key, ".")
	if !nested {
		c[key] = value
		return
	}
	child, ok := c[parent].(Config)
	if !ok {
		child = Config{}
		c[parent] = child
	}
	child.Set(rest, value)
}

func (c Config) encode() (string, error) {
	text, err := yaml.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode the config: %w", err)
	}
	return string(text), nil
}
