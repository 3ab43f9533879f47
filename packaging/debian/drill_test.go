//go:build drill

package debian

import (
	"slices"
	"strings"
	"testing"
)

func TestPackage(t *testing.T) {
	first, second := testBuild(t)
	s := newServer(t, first, second)
	for _, part := range []struct {
		name string
		run  func(server)
	}{
		{"install", testInstall}, {"upgrade", testUpgrade}, {"remove an active node", testRemoveActive},
		{"remove a standby", testRemove}, {"purge", testPurge},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(server{t, s.node}) }) {
			return // the rest builds on it
		}
	}
}

func testInstall(s server) {
	s.dpkg("--install /1.deb")
	s.wants("daemon-reload")
	s.nothingEnabled()
	for _, program := range programs {
		s.says(s.must(program+" --version"), `\bv1\.2\.3 `)
	}
	// Each file is there, root's, and nobody else may write it.
	s.says(s.must("dpkg --verify understudy; echo verified"), "^verified\n$")
	owned := strings.Fields(s.must("dpkg -L understudy"))
	if out := s.must("dpkg -L understudy | xargs stat -c '%U:%G %a %F %n' | grep -vE '^root:root (755 directory|[67]44 regular file|755 regular file|777 symbolic link) '; true"); out != "" {
		s.t.Errorf("odd owners or modes:\n%s", out)
	}
	for _, path := range []string{
		"/etc/understudy", "/etc/logrotate.d/understudy",
		"/usr/lib/systemd/system/understudy-replicate.timer", "/usr/lib/systemd/system/understudy.service",
		"/usr/share/bash-completion/completions/lag-check", "/usr/share/zsh/vendor-completions/_image-sync",
		"/usr/share/fish/vendor_completions.d/zfs-replicate.fish", "/usr/share/man/man8/failover-notify-switchover.8.gz",
		"/usr/share/understudy/systemd/keepalived.service.d/understudy.conf", "/usr/share/understudy/cron/zfs-replicate",
		"/usr/share/understudy/config.yaml", "/usr/share/understudy/prometheus/understudy.rules.yml",
		"/usr/share/doc/understudy/README.md", "/usr/share/doc/understudy/copyright",
	} {
		if !slices.Contains(owned, path) {
			s.t.Errorf("the package has no %s", path)
		}
	}
	s.must("test -r /usr/share/doc/understudy/examples/config.yaml")
	s.must("UNDERSTUDY_NODE=primary failover-notify config check --config /usr/share/understudy/config.yaml")
	s.must("bash -n /usr/share/bash-completion/completions/failover-notify")
	// What a timer and a hook find on a node that nobody has set up.
	s.must("sed -n 's/^ExecStart=//p' /usr/lib/systemd/system/understudy*.service | while read -r program args; do test -x $program || exit 1; done")
}

func testUpgrade(s server) {
	s.write("/etc/understudy/config.yaml", config, 0o640)
	s.write("/etc/logrotate.d/understudy", rotation, 0o600)
	before := s.must("stat -c '%a %y' /etc/understudy/config.yaml /etc/logrotate.d/understudy")
	s.dpkg("--install /2.deb </dev/null")
	s.wants("daemon-reload", "try-restart understudy.service")
	s.nothingEnabled()
	s.says(s.must("dpkg-query -W understudy"), `\b1\.2\.4\n`)
	if after := s.must("stat -c '%a %y' /etc/understudy/config.yaml /etc/logrotate.d/understudy"); after != before {
		s.t.Errorf("an upgrade has touched the administrator's files:\n%s%s", before, after)
	}
	if got := s.must("cat /etc/understudy/config.yaml /etc/logrotate.d/understudy"); got != config+rotation {
		s.t.Errorf("an upgrade has changed the administrator's files:\n%s", got)
	}
}

func testRemoveActive(s server) {
	s.must("failover-notify join && failover-notify master && failover-notify reconcile")
	s.says(s.must("cat /var/lib/understudy/role.json"), `"role": "active"`)
	s.asked() // the hook has asked for the watcher

	out, code := s.sh("dpkg --remove understudy")
	if code == 0 {
		s.t.Fatalf("an active node was removed:\n%s", out)
	}
	s.says(out, "error: this node is active: not removed", "switchover", "UNDERSTUDY_REMOVE_ANYWAY=yes")
	s.says(s.must("dpkg-query -W -f '${db:Status-Abbrev}' understudy"), "^.i ") // wanted gone, but installed
	s.wants("")                                                                 // nothing was stopped
	s.says(s.must("cat /run/understudy/eligible"), "1")

	// Who insists gets it, and is told what it means; data and services stay.
	s.says(s.must("UNDERSTUDY_REMOVE_ANYWAY=yes dpkg --remove understudy"), "warning: this node is active", "stop keepalived on both")
	stopped := "stop understudy-replicate.timer understudy-image-sync.timer understudy-lag-check.timer " +
		"understudy-replicate.service understudy-image-sync.service understudy-lag-check.service understudy.service understudy-join.service understudy-fence.service"
	s.wants(stopped, "daemon-reload", "reset-failed understudy*")
	s.says(s.must("zfs get -H -o value readonly tank/app"), "^off\n")
	s.dpkg("--install /2.deb")
	s.asked()
	s.says(s.must("failover-notify status --local"), "here is active")
}

func testRemove(s server) {
	s.must("failover-notify backup && failover-notify reconcile")
	s.says(s.must("cat /run/understudy/eligible"), "1")
	s.asked()

	s.says(s.must("dpkg --remove understudy"), "failover-notify release")
	s.must("test ! -e /run/understudy/eligible")
	s.says(s.must("cat /var/lib/understudy/eligibility.json"), "held: the package was removed")
	if out := s.must("for program in " + strings.Join(programs, " ") + "; do command -v $program; done; true"); out != "" {
		s.t.Errorf("left: %s", out)
	}
	if got := s.must("cat /etc/understudy/config.yaml /etc/logrotate.d/understudy"); got != config+rotation {
		s.t.Errorf("removing has changed the administrator's files:\n%s", got)
	}

	// Installed again, all is as before.
	s.dpkg("--install /2.deb")
	s.says(s.must("failover-notify release"), "here may hold the virtual IP")
}

func testPurge(s server) {
	owned := s.must("dpkg -L understudy")
	s.must("mkdir -p /etc/systemd/system/timers.target.wants && ln -s /usr/lib/systemd/system/understudy-replicate.timer /etc/systemd/system/timers.target.wants/")
	s.must("echo secret >/etc/understudy/id_ed25519; touch /var/log/understudy.log.1.gz /var/lib/understudy/lag-history.jsonl")
	role := s.must("cat /var/lib/understudy/role.json")

	out := s.must("dpkg --purge understudy")
	s.says(out, "these are yours and stay: /etc/understudy /var/lib/understudy")
	for path := range strings.SplitSeq(strings.TrimSpace(owned), "\n") {
		if out := s.must("test -d '" + path + "' || ls '" + path + "' 2>/dev/null; true"); out != "" {
			s.t.Errorf("left: %s", out)
		}
	}
	if out := s.must("find / -xdev -name '*understudy*' -not -path '/proc/*' -not -path '/sys/*' | grep -vE '^/(etc/understudy|var/lib/understudy|run/understudy)($|-)' ; true"); out != "" {
		s.t.Errorf("left:\n%s", out)
	}
	s.must("test ! -e /etc/logrotate.d/understudy && test ! -e /var/lib/understudy/lag-history.jsonl")
	s.says(s.must("dpkg-query -W understudy 2>&1; true"), "no packages found")
	if got := s.must("cat /etc/understudy/config.yaml /etc/understudy/id_ed25519 /var/lib/understudy/role.json"); got != config+"secret\n"+role {
		s.t.Errorf("purging has changed what is not the package's:\n%s", got)
	}
}
