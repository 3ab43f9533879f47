package setup

import "net/netip"

// printRemaining prints the steps that no program can do.
func (s *Setup) printRemaining() {
	vip := s.cfg.VirtualIP
	if p, err := netip.ParsePrefix(vip); err == nil {
		vip = p.Addr().String()
	}
	t := s.Dialog
	t.say("")
	if s.DryRun {
		t.say("These steps would remain for you:")
	} else {
		t.say("%s and %s are a pair. These steps remain for you:", s.here.name, s.there.name)
	}
	t.say("")
	for _, n := range []*node{s.here, s.there} {
		if !n.Systemd && n.Programs["cron"] == "" && n.Programs["crond"] == "" {
			t.paragraph("- ", "Schedule: no program on "+n.name+" reads /etc/cron.d. Install cron, or run the commands in these files by other means.")
		}
	}
	for _, line := range []string{
		"Router, addresses: reserve " + s.here.address + " for " + s.here.name + " and " + s.there.address + " for " + s.there.name + ", and keep " + vip + " out of the DHCP range.",
		"Router, port forwards: point them at " + vip + ", not at a node.",
		"DNS: point the local names of your services at " + vip + ". The public name still points to the router's address. Run its updater (DDNS) on the router, or as a project, so that it runs once.",
		"UPS: for both nodes, and for the switch and the router between them. A node that shuts down hands over first if the other node is ready.",
		"Firmware: have both nodes power on after a power loss.",
		"Messages: no notifications are sent yet. On both nodes, write one URL per line into /etc/understudy/notify.urls (mode 0600), set notify: {urls_file: /etc/understudy/notify.urls}, and systemctl restart understudy. Then test: failover-notify test-notification.",
		"Docker, optional: the engine starts containers at boot, and join stops them some seconds later. The example in /usr/share/understudy/systemd/docker.service.d prevents that.",
		"ssh: your own login as root to the other node is no longer needed.",
		"Test it, at a quiet hour: failover-notify drill moves everything to the other node and back.",
	} {
		t.paragraph("- ", line)
	}
}
