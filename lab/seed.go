package lab

import (
	"archive/tar"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/understudy-ha/understudy/lab/internal/hub"
)

//go:embed node-init.sh
var nodeInit []byte

//go:embed node-service.sh
var nodeService []byte

// keys are a lab's ssh keys: one client key for all, a host key per node.
type keys struct {
	dir        string
	knownHosts []byte
}

// makeKeys makes the keys in the lab's run folder.
func makeKeys(ctx context.Context, spec hub.Spec) (keys, error) {
	k := keys{dir: filepath.Join(spec.RunDir, "keys")}
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return k, fmt.Errorf("make the lab's keys: %w", err)
	}
	if err := keygen(ctx, filepath.Join(k.dir, "id_ed25519"), "understudy-lab"); err != nil {
		return k, err
	}
	var known bytes.Buffer
	for _, node := range spec.Nodes {
		if err := keygen(ctx, k.hostKey(node.Name), node.Name); err != nil {
			return k, err
		}
		public, err := os.ReadFile(k.hostKey(node.Name) + ".pub")
		if err != nil {
			return k, fmt.Errorf("make the lab's keys: %w", err)
		}
		fmt.Fprintf(&known, "%s,%s,%s %s", node.Name, host(node.Address), host(node.Management), public)
	}
	k.knownHosts = known.Bytes()
	if err := renameio.WriteFile(filepath.Join(k.dir, "known_hosts"), k.knownHosts, 0o600); err != nil {
		return k, fmt.Errorf("make the lab's keys: %w", err)
	}
	return k, nil
}

func (k keys) hostKey(node string) string { return filepath.Join(k.dir, "host-"+node) }

func keygen(ctx context.Context, path, comment string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make the ssh key %s: %w: %s", path, err, out)
	}
	return nil
}

// seedFile is a file of a node's seed. Its contents are Host, a file to copy,
// or Data, or a symbolic link to Link.
type seedFile struct {
	path, host, link string
	data             []byte
	mode             int64
}

// writeSeed makes the archive that a node unpacks over its root at each boot.
func writeSeed(spec hub.Spec, node hub.NodeSpec, k keys, extra []seedFile) error {
	hosts := "127.0.0.1 localhost\n::1 localhost\n10.77.0.1 lab\n"
	for _, n := range spec.Nodes {
		hosts += host(n.Address) + " " + n.Name + "\n"
	}
	description := fmt.Sprintf("KIND=%s\nNAME=%s\nADDRESS=%s\nMANAGEMENT=%s\n", spec.Kind, node.Name, node.Address, node.Management)
	files := append([]seedFile{
		{path: "etc/lab/node", data: []byte(description), mode: 0o644},
		{path: "etc/hostname", data: []byte(node.Name + "\n"), mode: 0o644},
		{path: "etc/hosts", data: []byte(hosts), mode: 0o644},
		{path: "etc/ssh/ssh_host_ed25519_key", host: k.hostKey(node.Name), mode: 0o600},
		{path: "etc/ssh/ssh_host_ed25519_key.pub", host: k.hostKey(node.Name) + ".pub", mode: 0o644},
		{path: "var/lib/understudy-disk/README", data: []byte("Bulk data of this lab node; on the host's disk.\n"), mode: 0o644},
	}, extra...)
	if spec.Systemd {
		bare, err := bareSeed(spec.Kind, node, k)
		if err != nil {
			return fmt.Errorf("make the files of node %s: %w", node.Name, err)
		}
		files = append(files, bare...)
	} else {
		files = append(files, pairSeed(k)...)
	}

	file, err := renameio.NewPendingFile(node.Seed, renameio.WithPermissions(0o600))
	if err != nil {
		return fmt.Errorf("make the files of node %s: %w", node.Name, err)
	}
	defer file.Cleanup()
	archive := tar.NewWriter(file)
	for _, f := range files {
		if err := f.write(archive); err != nil {
			return fmt.Errorf("make the files of node %s: %s: %w", node.Name, f.path, err)
		}
	}
	if err := errors.Join(archive.Close(), padSector(file.File)); err != nil {
		return fmt.Errorf("make the files of node %s: %w", node.Name, err)
	}
	if err := file.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("make the files of node %s: %w", node.Name, err)
	}
	return nil
}

// pairSeed returns the files of a node with the lab's own init. It reaches the
// other nodes by the lab's key.
func pairSeed(k keys) []seedFile {
	client := filepath.Join(k.dir, "id_ed25519")
	const sshConfig = "Host *\n\tUser root\n\tIdentityFile /etc/understudy/id_ed25519\n\tUserKnownHostsFile /etc/understudy/known_hosts\n"
	return []seedFile{
		{path: "usr/sbin/lab-init", data: nodeInit, mode: 0o755},
		{path: "usr/sbin/lab-service", data: nodeService, mode: 0o755},
		{path: "root/.ssh/authorized_keys", host: client + ".pub", mode: 0o600},
		{path: "root/.ssh/config", data: []byte(sshConfig), mode: 0o600},
		{path: "etc/understudy/id_ed25519", host: client, mode: 0o600},
		{path: "etc/understudy/id_ed25519.pub", host: client + ".pub", mode: 0o644},
		{path: "etc/understudy/known_hosts", data: k.knownHosts, mode: 0o644},
	}
}

func (f seedFile) write(archive *tar.Writer) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: f.path, Mode: f.mode, ModTime: time.Now()}
	data := f.data
	switch {
	case f.host != "":
		var err error
		if data, err = os.ReadFile(f.host); err != nil {
			return err
		}
	case f.link != "":
		header.Typeflag, header.Linkname = tar.TypeSymlink, f.link
	}
	// sshd refuses keys in a folder that others may write to.
	if strings.HasPrefix(f.path, "root/.ssh/") {
		folder := &tar.Header{Typeflag: tar.TypeDir, Name: "root/.ssh/", Mode: 0o700, ModTime: header.ModTime}
		if err := archive.WriteHeader(folder); err != nil {
			return err
		}
	}
	header.Size = int64(len(data))
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(data)
	return err
}

// padSector pads the file to a size that a disk can have.
func padSector(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return file.Truncate((info.Size() + 4095) / 4096 * 4096)
}
