package hub

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Kind is the kind of a node.
type Kind string

const (
	// NS nodes are namespaces on this machine, over the image's root folder.
	NS Kind = "ns"
	// VM nodes are QEMU virtual machines that boot the image's disk.
	VM Kind = "vm"
)

// Direction is a direction of traffic, as the node sees it.
type Direction string

const (
	In   Direction = "in"
	Out  Direction = "out"
	Both Direction = "both"
)

// Spec describes a lab to its hub. The lab writes it before it starts the hub,
// and keeps it for attached labs.
type Spec struct {
	// Name is the name of the lab, unique on this machine while it runs.
	Name string
	Kind Kind
	// RunDir is the lab's folder for sockets, logs and keys; DiskDir its folder
	// for bulk data. The hub removes both at an orderly end.
	RunDir, DiskDir string
	// ImageDir is locked while the hub runs.
	ImageDir                     string
	Rootfs, Kernel, Initrd, Disk string
	// Systemd is set when the first process of the nodes is systemd, not the
	// lab's own.
	Systemd bool
	// KVM is set when qemu may use hardware virtualisation.
	KVM bool
	// Owned hubs end when their standard input does.
	Owned bool
	Nodes []NodeSpec
}

// NodeSpec is one node of a lab.
type NodeSpec struct {
	Name string
	// Address is on the lab's network, which can be cut; Management is on the
	// lab's own network, which cannot.
	Address, Management string
	// Seed is a tar archive that is unpacked over the node's root at each boot:
	// it makes the node unique.
	Seed string
	// Index counts the nodes from 0.
	Index int
}

// Console is the file with the output of the node's kernel and first process.
// Each start of the node truncates it.
func (s Spec) Console(node string) string {
	return filepath.Join(s.RunDir, "console-"+node+".log")
}

// Socket is the path on which the hub listens.
func (s Spec) Socket() string { return filepath.Join(s.RunDir, "hub.sock") }

// SpecPath is the path of the spec in a lab's run folder.
func SpecPath(runDir string) string { return filepath.Join(runDir, "lab.json") }

// Write writes the spec into its run folder.
func (s Spec) Write() error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the spec of lab %s: %w", s.Name, err)
	}
	if err := renameio.WriteFile(SpecPath(s.RunDir), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the spec of lab %s: %w", s.Name, err)
	}
	return nil
}

// ReadSpec reads a spec written by Write.
func ReadSpec(runDir string) (Spec, error) {
	var s Spec
	data, err := os.ReadFile(SpecPath(runDir))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("read %s: %w; remove the lab with: lab down", SpecPath(runDir), err)
	}
	return s, nil
}
