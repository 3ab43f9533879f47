package setup

import (
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/understudy-ha/understudy/pkg/config"
)

// Paths of a node's key and of its peers' host keys.
const (
	identityFile   = "/etc/understudy/id_ed25519"
	knownHostsFile = "/etc/understudy/known_hosts"
)

// usualPrograms is the default folder of the programs, in the configuration and the
// units.
const usualPrograms = "/usr/bin"

// The configuration as the operator would write it, without defaults.
type fileNode struct {
	Name     string `yaml:"name"`
	Address  string `yaml:"address"`
	Priority int    `yaml:"priority"`
}

type fileDataset struct {
	Name    string   `yaml:"name"`
	Exclude []string `yaml:"exclude,omitempty,flow"`
}

type fileConfig struct {
	Nodes     []flowNode `yaml:"nodes"`
	VirtualIP string     `yaml:"virtual_ip"`
	Interface string     `yaml:"interface"`
	SSH       struct {
		User  string `yaml:"user,omitempty"`
		Port  int    `yaml:"port,omitempty"`
		Key   string `yaml:"identity_file"`
		Known string `yaml:"known_hosts_file"`
	} `yaml:"ssh"`
	Replication *fileReplication `yaml:"replication,omitempty"`
	Services    *fileServices    `yaml:"services,omitempty"`
	Probe       *fileProbe       `yaml:"probe,omitempty"`
	Witness     *fileWitness     `yaml:"witness,omitempty"`
	Keepalived  *fileKeepalived  `yaml:"keepalived,omitempty"`
}

type fileReplication struct {
	Datasets []flowDataset  `yaml:"datasets"`
	Keep     map[string]int `yaml:"keep,flow"`
}

type fileServices struct {
	Directory string   `yaml:"directory"`
	Projects  []string `yaml:"projects,flow"`
	First     []string `yaml:"first,omitempty,flow"`
}

type fileProbe struct {
	Container string `yaml:"container"`
	Ping      string `yaml:"ping,omitempty"`
}

type fileWitness struct {
	Targets []string `yaml:"targets,flow"`
}

type fileKeepalived struct {
	RouterID int    `yaml:"virtual_router_id,omitempty"`
	Programs string `yaml:"programs,omitempty"`
}

// Each list entry is one line.
type (
	flowNode    fileNode
	flowDataset fileDataset
)

func (n flowNode) MarshalYAML() (any, error)    { return flow(fileNode(n)) }
func (d flowDataset) MarshalYAML() (any, error) { return flow(fileDataset(d)) }

func flow(v any) (any, error) {
	var node yaml.Node
	if err := node.Encode(v); err != nil {
		return nil, err
	}
	node.Style = yaml.FlowStyle
	return &node, nil
}

const heading = `# Both nodes of the pair have this file: change it on both.
# 'failover-notify config check' finds mistakes; 'config show' prints every key.
`

// text returns the configuration for the answers. programs is the folder of the
// programs.
func (a Answers) text(peer, programs string) (string, error) {
	var c fileConfig
	c.Nodes = []flowNode{{a.Name, a.Address, 100}, {a.PeerName, peer, 90}}
	c.VirtualIP, c.Interface = a.VirtualIP, a.Interface
	c.SSH.Key, c.SSH.Known, c.SSH.User = identityFile, knownHostsFile, a.User
	if a.Port != sshPort {
		c.SSH.Port = a.Port
	}
	if len(a.Datasets) > 0 {
		c.Replication = &fileReplication{Keep: map[string]int{"last": 60, "hourly": 24, "daily": 14}}
		for _, name := range a.Datasets {
			c.Replication.Datasets = append(c.Replication.Datasets, flowDataset{name, a.excluded(name)})
		}
	}
	if len(a.Projects) > 0 {
		c.Services = &fileServices{a.Directory, a.Projects, a.First}
	}
	if a.Container != "" {
		c.Probe = &fileProbe{a.Container, a.Ping}
	}
	if len(a.Witnesses) > 0 {
		c.Witness = &fileWitness{a.Witnesses}
	}
	if programs == usualPrograms {
		programs = ""
	}
	if a.RouterID != 0 || programs != "" {
		c.Keepalived = &fileKeepalived{a.RouterID, programs}
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("write the configuration: %w", err)
	}
	return heading + string(text), nil
}

// excluded returns the excluded datasets below a dataset.
func (a Answers) excluded(name string) []string {
	var list []string
	for _, e := range a.Exclude {
		if len(e) > len(name) && e[:len(name)+1] == name+"/" {
			list = append(list, e)
		}
	}
	return list
}

var interfaceLine = regexp.MustCompile(`(?m)^interface:.*$`)

// withInterface returns the configuration with another interface: the one key that may
// differ between the nodes.
func withInterface(text, name string) string {
	if name == "" || !interfaceLine.MatchString(text) {
		return text
	}
	return interfaceLine.ReplaceAllLiteralString(text, "interface: "+name)
}

// load loads a configuration that is not installed yet.
func load(text string) (*config.Config, error) {
	cfg, err := config.Load(config.LoadOptions{File: configFile, Data: []byte(text)})
	if err != nil {
		return nil, fmt.Errorf("the resulting configuration is invalid, nothing changed: %w", err)
	}
	return cfg, nil
}
