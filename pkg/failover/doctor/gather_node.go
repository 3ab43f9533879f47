package doctor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/keepalived"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/run"
)

// sum returns a short hash.
func sum(data string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(data)))[:16] }

// sumConfig hashes the value of each key; a list is one value.
func sumConfig(cfg *config.Config) func(context.Context) (map[string]string, error) {
	return func(context.Context) (map[string]string, error) {
		text, err := cfg.YAML()
		if err != nil {
			return nil, err
		}
		var tree map[string]any
		if err := yaml.Unmarshal(text, &tree); err != nil {
			return nil, fmt.Errorf("parse the rendered configuration: %w", err)
		}
		sums := map[string]string{}
		flatten(tree, "", sums)
		return sums, nil
	}
}

func flatten(tree map[string]any, path string, into map[string]string) {
	for key, value := range tree {
		if branch, ok := value.(map[string]any); ok {
			flatten(branch, path+key+".", into)
			continue
		}
		into[path+key] = sum(fmt.Sprint(value)) // maps are printed in order
	}
}

// system returns the distribution and its version from os-release, or "".
func (d *Doctor) system() string {
	text, err := os.ReadFile(filepath.Join(d.Root, "etc/os-release"))
	if err != nil {
		return ""
	}
	var id, version string
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch value = strings.Trim(value, `"'`); key {
		case "ID":
			id = value
		case "VERSION_ID":
			version = value
		}
	}
	return strings.TrimSpace(id + " " + version)
}

// programs returns the programs that a failover starts.
func (d *Doctor) programs(context.Context) ([]Program, error) {
	cfg := d.config()
	names := []string{"ssh", "ip", cfg.Failover.RemoteCommand}
	if d.Node.Data.Configured() {
		names = append(names, "zfs", "zpool", cfg.SSH.RemoteCommand)
	}
	if len(cfg.Services.Projects) > 0 {
		names = append(names, "docker")
	}
	if d.Node.Address.Configured() {
		names = append(names, "keepalived")
	}
	var list []Program
	for _, name := range names {
		p := Program{Name: name}
		if _, err := exec.LookPath(name); err != nil {
			p.Problem = "not found on PATH"
			if filepath.IsAbs(name) {
				p.Problem = "does not exist, or is not executable"
			}
		}
		list = append(list, p)
	}
	if !d.Node.Address.Configured() {
		return list, nil
	}
	for _, name := range []string{"track-traefik", "failover-notify"} {
		program := filepath.Join(cfg.Keepalived.Programs, name)
		list = append(list, Program{Name: program, Problem: keepalived.Insecure(program)})
	}
	return list, nil
}

var versionText = regexp.MustCompile(`v?(\d+\.\d+(?:\.\d+)?)`)

// keepalived compares the installed configuration, and has keepalived itself check it.
func (d *Doctor) keepalived(ctx context.Context) (Keepalived, error) {
	var k Keepalived
	cfg := d.config()
	password, err := keepalived.ReadPassword(cfg.Keepalived.PasswordFile)
	if err != nil {
		return k, err
	}
	if password != "" {
		// A full hash of eight characters would reveal too much.
		k.Password = sum(password)[:4]
	}
	if k.Differences, err = keepalived.CompareFile(cfg.Keepalived.File, cfg, d.Node.Self, password); err != nil {
		return k, err
	}
	// Both print on stderr.
	said, err := d.stderr(ctx, "keepalived", "--version")
	if err != nil {
		return k, err
	}
	if m := versionText.FindStringSubmatch(said); m != nil {
		k.Version = m[1]
	}
	said, err = d.stderr(ctx, "keepalived", "--config-test", "--use-file", cfg.Keepalived.File)
	if failed, ok := errors.AsType[*run.Error](err); ok && failed.ExitCode > 0 {
		k.Refused = lastLine(said)
		if k.Refused == "" {
			k.Refused = fmt.Sprintf("exit code %d", failed.ExitCode)
		}
		err = nil
	}
	return k, err
}

// stderr runs a program and returns its stderr.
func (d *Doctor) stderr(ctx context.Context, argv ...string) (string, error) {
	p, err := d.Node.Runner.Start(ctx, run.Command{Argv: argv, Timeout: d.Patience, Grace: time.Second})
	if err != nil {
		return "", err
	}
	err = p.Wait()
	return p.Stderr(), err
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

func (d *Doctor) iface(context.Context) (Interface, error) {
	i := Interface{Name: d.config().Interface}
	if found, err := net.InterfaceByName(i.Name); err == nil {
		i.Exists, i.Up = true, found.Flags&net.FlagUp != 0 && found.Flags&net.FlagRunning != 0
	}
	return i, nil
}

func (d *Doctor) witness(ctx context.Context) (string, error) {
	answer := d.Node.Witness(ctx)
	if answer.Configured && !answer.Reachable {
		return answer.String(), nil
	}
	return "", nil
}

// link asks another node for its state, and then for a command that its gate must
// refuse.
func (d *Doctor) link(ctx context.Context, peer config.Node) PeerLink {
	l := PeerLink{Node: peer.Name}
	began := d.Node.Now()
	var said rules.PeerState
	err := d.Node.AskFor(ctx, peer, min(d.config().Failover.PeerTimeout, d.Patience), &said, "peer", "-o", "json")
	if err != nil {
		l.Error, l.Hint = err.Error(), exit.Hint(err)
		return l
	}
	took := d.Node.Now().Sub(began)
	l.Ahead, l.Within = said.Time.Sub(began.Add(took/2)).Seconds(), took.Seconds()/2
	how := remote.Over(d.config().SSH, peer)
	var out bytes.Buffer
	err = d.Node.Runner.Run(ctx, run.Command{Argv: how.Argv("true"), Timeout: d.Patience / 2, Stdout: &out})
	l.Open = err == nil
	return l
}
