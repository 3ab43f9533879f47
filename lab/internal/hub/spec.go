package hub

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Kind is what a node is made of.
type Kind string

const (
	// NS nodes are namespaces on this machine, over the image's root folder.
	NS Kind = "ns"
	// VM nodes are QEMU virtual machines that boot the image's disk.
	VM Kind = "vm"
)

// Direction of traffic, as the node sees it.
type Direction string

const (
	In   Direction = "in"
	Out  Direction = "out"
	Both Direction = "both"
)

// Spec is all that a hub needs to know, written by the lab before it starts
// the hub and kept for those who come to the lab later.
type Spec struct {
	// Name of the lab, unique on this machine while it runs.
	Name string
	Kind Kind
	// RunDir is the lab's folder for sockets, logs and keys; DiskDir its
	// folder for bulk data. The hub removes both when it ends in order.
	RunDir, DiskDir string
	// ImageDir is locked as used while the hub runs.
	ImageDir                     string
	Rootfs, Kernel, Initrd, Disk string
	// Systemd says that the nodes' first process is systemd, not the lab's own.
	Systemd bool
	// KVM says that qemu may use hardware virtualisation.
	KVM bool
	// Owned hubs end when their standard input does.
	Owned bool
	Nodes []NodeSpec
}

// NodeSpec is one node of a lab.
type NodeSpec struct {
	Name string
	// Address is on the lab's network, which can be cut; Management on the
	// one that the lab itself uses, which can not.
	Address, Management string
	// Seed is a tar archive that is unpacked over the node's root at each
	// boot: all that makes this node this node.
	Seed string
	// Index counts the nodes from 0.
	Index int
}

// Console is the file that the node's first process and kernel write to.
// Each start of the node begins it anew.
func (s Spec) Console(node string) string {
	return filepath.Join(s.RunDir, "console-"+node+".log")
}

// Socket is where the hub listens.
func (s Spec) Socket() string { return filepath.Join(s.RunDir, "hub.sock") }

// SpecPath is where the spec lies in a lab's run folder.
func SpecPath(runDir string) string { return filepath.Join(runDir, "lab.json") }

// Write puts the spec into its run folder.
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

// ReadSpec reads what Write wrote.
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
