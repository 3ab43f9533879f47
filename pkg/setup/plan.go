package setup

// plan returns all steps of a setup, in order.
func (s *Setup) plan() []step {
	both := []*node{s.here, s.there}
	other := map[*node]*node{s.here: s.there, s.there: s.here}
	s.here.hostKeys = ownHostKeys(s.here.address, s.cfg.SSH.Port, s.here.HostKeys)
	var list []step
	for _, n := range both {
		list = append(list, files(n, "configuration", file{path: configFile, text: n.text, mode: 0o644}))
	}
	if len(s.cfg.Services.Projects) > 0 {
		list = append(list, s.checkout())
	}
	for _, n := range both {
		list = append(list, s.key(n), s.pinHostKey(n, other[n]))
	}
	if s.user != "root" {
		for _, n := range both {
			list = append(list, s.account(n), s.stateFolder(n), s.delegation(n))
		}
	}
	for _, n := range both {
		list = append(list, s.authorize(n, other[n]))
	}
	for _, n := range both {
		list = append(list, s.gate(n, other[n]))
	}
	for _, n := range both {
		list = append(list, s.keepalived(n))
	}
	for _, n := range both {
		if n.Systemd {
			list = append(list, s.units(n), s.enabled(n, "start at boot", s.bootUnits(), false))
		}
	}
	list = append(list, s.start())
	if len(s.cfg.Replication.Datasets) > 0 {
		list = append(list, s.replication())
	}
	if len(s.cfg.Services.Projects) > 0 {
		list = append(list, s.images())
	}
	for _, n := range both {
		if n.Systemd {
			list = append(list, s.enabled(n, "schedule", s.timers(), true))
		} else {
			list = append(list, s.cron(n))
		}
	}
	return append(list, s.standbyReady(), s.doctor(s.here), s.doctor(s.there))
}
