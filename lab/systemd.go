package lab

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"github.com/understudy-ha/understudy/lab/internal/hub"
)

//go:embed systemd
var systemdFiles embed.FS

// unitDir is the folder of an administrator's units.
const unitDir = "etc/systemd/system/"

// wanted are the lab's own units, by the target that starts them.
var wanted = map[string]string{
	"lab-network.service": "sysinit.target",
	"lab-ready.service":   "multi-user.target",
	"lab-started.service": "graphical.target",
}

// masked are units without a purpose in a lab that would cost an emulated
// processor time: maintenance, logins on consoles, and sessions, which need a
// D-Bus that the image lacks.
var masked = []string{
	"apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer", "sanoid.timer", "systemd-tmpfiles-clean.timer",
	"getty@tty1.service", "serial-getty@ttyS0.service", "console-getty.service", "systemd-logind.service", "systemd-pstore.service",
}

// shared are units that would set up this machine's kernel and devices, which
// namespace nodes share.
var shared = []string{
	"systemd-udevd.service", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "systemd-udev-trigger.service", "systemd-udev-settle.service",
	"systemd-sysctl.service", "systemd-modules-load.service", "kmod-static-nodes.service", "systemd-random-seed.service",
	"systemd-tmpfiles-setup-dev.service", "systemd-tmpfiles-setup-dev-early.service", "hwclock.service", "zfs-load-module.service",
	"proc-sys-fs-binfmt_misc.automount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-kernel-config.mount", "sys-fs-fuse-connections.mount",
	"dev-hugepages.mount", "dev-mqueue.mount", "tmp.mount",
}

// bareSeed returns the files of a node with systemd: a plain Debian server with
// its addresses and a login for the lab. Each boot restores them, so no file
// that setup writes may be among them: the lab's key is in the second file that
// sshd reads.
func bareSeed(kind Kind, node hub.NodeSpec, k keys) ([]seedFile, error) {
	files := []seedFile{
		{path: "root/.ssh/authorized_keys2", host: filepath.Join(k.dir, "id_ed25519") + ".pub", mode: 0o600},
		{path: "etc/machine-id", data: fmt.Appendf(nil, "%.32x\n", sha256.Sum256([]byte(node.Name))), mode: 0o444},
		// A resolver that refuses at once, where none could answer.
		{path: "etc/resolv.conf", data: []byte("nameserver 127.0.0.1\n"), mode: 0o644},
		// The interfaces keep the names of the kernel.
		{path: "etc/systemd/network/99-default.link", link: "/dev/null", mode: 0o777},
	}
	units := masked
	if kind == NS {
		units = slices.Concat(masked, shared)
	}
	for _, unit := range units {
		files = append(files, seedFile{path: unitDir + unit, link: "/dev/null", mode: 0o777})
	}
	init, err := systemdFiles.ReadFile("systemd/init.sh")
	if err != nil {
		return nil, err
	}
	files = append(files, seedFile{path: "usr/sbin/lab-init", data: init, mode: 0o755})
	own, err := fs.Glob(systemdFiles, "systemd/*.service")
	if err != nil {
		return nil, err
	}
	for _, name := range own {
		text, err := systemdFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		unit := path.Base(name)
		files = append(files, seedFile{path: unitDir + unit, data: text, mode: 0o644},
			seedFile{path: unitDir + wanted[unit] + ".wants/" + unit, link: "../" + unit, mode: 0o777})
	}
	return files, nil
}
