package config

import "time"

// Lag holds what lag-check judges by.
type Lag struct {
	// From this lag on the answer is a warning: the age of the newest snapshot
	// that both nodes have, of a dataset that was written to since.
	Warning time.Duration `yaml:"warning" default:"20m"`
	// From this lag on the answer is critical.
	Critical time.Duration `yaml:"critical" default:"1h"`
	// Other limits for some datasets.
	Datasets []LagDataset `yaml:"datasets"`
	// How long the other node may take to list its datasets before it counts
	// as unreachable.
	Timeout time.Duration `yaml:"timeout" default:"20s"`
	// How large the file of all measurements may become, about; the oldest
	// ones go first.
	History Size `yaml:"history" default:"8MiB"`
	// Path of lag-check on the other node.
	RemoteCommand string `yaml:"remote_command" default:"lag-check"`
}

// LagDataset has limits of its own, and so have all datasets below it that are
// not listed themselves.
type LagDataset struct {
	// Its ZFS name, as under replication.datasets.
	Name string `yaml:"name"`
	// As lag.warning; 0s: that one.
	Warning time.Duration `yaml:"warning" default:"0s"`
	// As lag.critical; 0s: that one.
	Critical time.Duration `yaml:"critical" default:"0s"`
}

// Notify says who is notified of role changes and failures, and how often.
type Notify struct {
	// File with one notification URL a line; they hold secrets, so they are
	// not part of this file. Empty: nobody is notified.
	URLsFile string `yaml:"urls_file"`
	// How often a lasting problem is notified again.
	Repeat time.Duration `yaml:"repeat" default:"24h"`
	// How long a problem that may pass by itself, such as a link that is down,
	// must last before a notification, and be gone before a recovery is reported.
	Settle time.Duration `yaml:"settle" default:"5m"`
	// How long one channel may take for one message.
	Timeout time.Duration `yaml:"timeout" default:"10s"`
	// File with a template of the messages, as Go's text/template. Empty: the
	// one that is built in.
	TemplateFile string `yaml:"template_file"`
}

// Heartbeat says who notices that a scheduled program does not run any more,
// in the manner of healthchecks.io.
type Heartbeat struct {
	// File with a line for each program, replicate, images or lag, followed by
	// its URL. PROGRAM@NODE is for one node only.
	URLsFile string `yaml:"urls_file"`
	// How long a ping may take. One that fails changes nothing.
	Timeout time.Duration `yaml:"timeout" default:"5s"`
}

// Metrics says where Prometheus gets its figures from.
type Metrics struct {
	// Folder that node_exporter reads (--collector.textfile.directory): each
	// program keeps a file there. Empty: none does.
	TextfileDir string `yaml:"textfile_dir"`
}
