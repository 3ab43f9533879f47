package setup

import "net/netip"

// left says what no program can do.
func (s *Setup) left() {
	vip := s.cfg.VirtualIP
	if p, err := netip.ParsePrefix(vip); err == nil {
		vip = p.Addr().String()
	}
	t := s.Talk
	t.say("")
	if s.DryRun {
		t.say("Then this would be left for you:")
	} else {
		t.say("%s and %s are a pair. What is left for you:", s.here.name, s.there.name)
	}
	t.say("")
	for _, n := range []*node{s.here, s.there} {
		if !n.Systemd && n.Programs["cron"] == "" && n.Programs["crond"] == "" {
			t.paragraph("- ", "Schedule: nothing on "+n.name+" reads /etc/cron.d. Install cron, or have something else run each minute what the files there say.")
		}
	}
	for _, line := range []string{
		"Router, addresses: reserve " + s.here.address + " for " + s.here.name + " and " + s.there.address + " for " + s.there.name + ", and keep " + vip + " out of what DHCP gives away.",
		"Router, port forwards: point them at " + vip + ", and at neither node.",
		"Names: let those of your services in the local DNS stand for " + vip + ". The public name stays with the router's address; a program that updates it (DDNS) belongs on the router, or into a project, so that it runs once.",
		"UPS: both nodes need one, and so do the switch and the router between them; a node that is told to shut down hands over by itself while the other one is up.",
		"Firmware: let both nodes start by themselves when the power comes back.",
		"Messages: nobody is told of anything yet. Write one URL a line into /etc/understudy/notify.urls (mode 0600), set notify: {urls_file: /etc/understudy/notify.urls} on both, systemctl restart understudy, and try it: failover-notify test-notification.",
		"Docker, if you like: it starts containers at boot, which join stops again some seconds later. An example in /usr/share/understudy/systemd/docker.service.d keeps it from that.",
		"ssh: your own login as root from one node to the other is not needed any more.",
		"Try it, at a quiet hour: failover-notify drill moves everything to the other node and back.",
	} {
		t.paragraph("- ", line)
	}
}
