package machine

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// wanted holds the programs to find.
var wanted = []string{
	"failover-notify", "zfs-replicate", "track-traefik", "image-sync", "lag-check",
	"zfs", "zpool", "docker", "keepalived", "ssh", "ssh-keygen", "ssh-keyscan", "git", "systemctl", "useradd", "cron", "crond",
}

// poolTimeout bounds each call of ZFS.
const poolTimeout = 20 * time.Second

// Inspect returns the facts of this machine.
func (l *Local) Inspect(ctx context.Context) (Facts, error) {
	f := Facts{Version: l.Version, UID: os.Geteuid(), Programs: map[string]string{}}
	name, err := os.Hostname()
	if err != nil {
		return f, fmt.Errorf("read this machine's name: %w", err)
	}
	f.Host, _, _ = strings.Cut(name, ".")
	for _, program := range wanted {
		if path, err := exec.LookPath(program); err == nil {
			f.Programs[program] = path
		}
	}
	if path := f.Programs["failover-notify"]; path != "" {
		f.Folder = filepath.Dir(path)
	}
	f.Systemd = exists(filepath.Join(l.Root, "run/systemd/system"))
	if f.Addresses, err = addresses(); err != nil {
		return f, fmt.Errorf("list this machine's addresses: %w", err)
	}
	f.Gateway = gateway("/proc/net/route")
	f.HostKeys = hostKeys(l.Root)
	if f.Programs["zfs"] != "" && f.Programs["zpool"] != "" {
		f.Pools, err = l.pools(ctx)
	}
	return f, err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// addresses returns the addresses that other machines can reach.
func addresses() ([]Address, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var list []Address
	for _, i := range interfaces {
		found, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range found {
			prefix, err := netip.ParsePrefix(a.String())
			if err == nil && !prefix.Addr().IsLoopback() && !prefix.Addr().IsLinkLocalUnicast() {
				list = append(list, Address{Interface: i.Name, Prefix: prefix})
			}
		}
	}
	return list, nil
}

// gateway returns the gateway of the default route in the kernel's table: the one
// without destination and mask. It returns "" if there is none.
func gateway(table string) string {
	file, err := os.Open(table)
	if err != nil {
		return ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 8 || fields[1] != "00000000" || fields[7] != "00000000" {
			continue
		}
		if raw, err := hex.DecodeString(fields[2]); err == nil && len(raw) == 4 {
			var ip [4]byte
			binary.NativeEndian.PutUint32(ip[:], binary.BigEndian.Uint32(raw))
			return netip.AddrFrom4(ip).String()
		}
	}
	return ""
}

// hostKeys returns the public keys of this machine's sshd.
func hostKeys(root string) []string {
	files, _ := filepath.Glob(filepath.Join(root, "etc/ssh/ssh_host_*_key.pub"))
	var keys []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if fields := strings.Fields(string(text)); err == nil && len(fields) >= 2 {
			keys = append(keys, fields[0]+" "+fields[1])
		}
	}
	slices.Sort(keys)
	return keys
}

// pools lists the pools.
func (l *Local) pools(ctx context.Context) ([]Pool, error) {
	out, err := l.Run(ctx, Call{Argv: []string{"zpool", "list", "-H", "-o", "name"}, Timeout: poolTimeout})
	if err != nil {
		return nil, err
	}
	system := ""
	if mounted, err := l.Run(ctx, Call{Argv: []string{"findmnt", "-n", "-o", "FSTYPE,SOURCE", "/"}, Timeout: poolTimeout}); err == nil {
		if fields := strings.Fields(mounted.Stdout); len(fields) == 2 && fields[0] == "zfs" {
			system, _, _ = strings.Cut(fields[1], "/")
		}
	}
	var list []Pool
	for _, name := range strings.Fields(out.Stdout) {
		list = append(list, Pool{Name: name, System: name == system})
	}
	return list, nil
}
