package config

import "time"

// Lag sets the limits of lag-check. Set them to your RPO.
type Lag struct {
	// Lag from which the result is a warning. The lag of a dataset is the age
	// of the common snapshot, if the dataset was written to since.
	Warning time.Duration `yaml:"warning" default:"20m"`
	// Lag from which the result is critical.
	Critical time.Duration `yaml:"critical" default:"1h"`
	// Other limits for some datasets.
	Datasets []LagDataset `yaml:"datasets"`
	// Time limit for the peer to list its datasets, before it counts as
	// unreachable.
	Timeout time.Duration `yaml:"timeout" default:"20s"`
	// Approximate size limit of the history file; the oldest measurements are
	// removed first.
	History Size `yaml:"history" default:"8MiB"`
	// Path of lag-check on the other node.
	RemoteCommand string `yaml:"remote_command" default:"lag-check"`
}

// LagDataset sets other limits for a dataset, and for all datasets below it that
// are not listed themselves.
type LagDataset struct {
	// Its ZFS name, as under replication.datasets.
	Name string `yaml:"name"`
	// As lag.warning; 0s: the same.
	Warning time.Duration `yaml:"warning" default:"0s"`
	// As lag.critical; 0s: the same.
	Critical time.Duration `yaml:"critical" default:"0s"`
}

// Notify sets who is notified of role changes and failures, and how often.
type Notify struct {
	// File with one notification URL per line. The URLs contain secrets, so
	// they are not part of this file. Empty: nobody is notified.
	URLsFile string `yaml:"urls_file"`
	// Interval of reminders while a problem lasts.
	Repeat time.Duration `yaml:"repeat" default:"24h"`
	// How long a problem that may pass on its own, such as a link that is down,
	// must last before a notification, and be gone before its recovery is
	// reported.
	Settle time.Duration `yaml:"settle" default:"5m"`
	// Time limit for one message on one channel.
	Timeout time.Duration `yaml:"timeout" default:"10s"`
	// File with a template of the messages, as Go's text/template. Empty: the
	// built-in template.
	TemplateFile string `yaml:"template_file"`
}

// Heartbeat sets ping URLs: a monitor such as healthchecks.io then notices that
// a scheduled program no longer runs.
type Heartbeat struct {
	// File with a line per program (replicate, images or lag) and its URL.
	// PROGRAM@NODE is for one node only.
	URLsFile string `yaml:"urls_file"`
	// Time limit for a ping. A failed ping changes nothing.
	Timeout time.Duration `yaml:"timeout" default:"5s"`
}

// Metrics sets where Prometheus gets its metrics from.
type Metrics struct {
	// Folder that node_exporter reads (--collector.textfile.directory): each
	// program writes a file there. Empty: no metrics.
	TextfileDir string `yaml:"textfile_dir"`
}
