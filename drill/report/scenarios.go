package report

import "slices"

// groupOrder is the order of the groups in the report: takeovers first.
var groupOrder = []string{"Takeover", "Failback", "Packaged", "Setup", "Upgrade", "SelfDrill", "ThreeNodes", "Lease", "Runbooks", "Drill", "Images", "LagOfAPair", "ScriptsOnZFS"}

// ordered returns the results group by group.
func ordered(results []Result) []Result {
	rank := func(r Result) int {
		if i := slices.Index(groupOrder, r.Group); i >= 0 {
			return i
		}
		return len(groupOrder)
	}
	results = slices.Clone(results)
	slices.SortStableFunc(results, func(a, b Result) int { return rank(a) - rank(b) })
	return results
}

// groupTitle returns the title of a test's scenarios.
func groupTitle(group string) string {
	switch group {
	case "Takeover":
		return "Takeovers"
	case "Failback":
		return "Failback"
	case "Drill":
		return "Replication"
	case "SelfDrill":
		return "The pair’s own drill"
	case "ThreeNodes":
		return "Three nodes"
	case "Lease":
		return "The lease in etcd"
	case "Setup":
		return "Setup"
	case "ScriptsOnZFS":
		return "Commands"
	case "Packaged":
		return "From the packages to failback"
	case "LagOfAPair":
		return "Exposure"
	}
	return group
}

// groupAbout describes a group in a sentence or two.
func groupAbout(group string) string {
	switch group {
	case "Takeover":
		return "A pair serves Traefik and applications under constant writes. Something breaks; the standby takes over, or must not. " +
			"In each scenario at most one node can write at any moment, and no acknowledged write is lost."
	case "Failback":
		return "After a takeover: a node returns, two histories differ, the services move to the other node and back."
	case "SelfDrill":
		return "failover-notify drill, as the owner of a pair runs it, and its failures."
	case "ThreeNodes":
		return "One active node and two standbys: the standby with the newer data takes over, whichever gets the virtual IP first."
	case "Lease":
		return "The nodes need a lease from an etcd on other machines. A node without the lease stops before another node can hold it."
	case "Upgrade":
		return "A pair on the previous release is upgraded, the standby first. After each step the services move to the other node and back."
	case "Setup":
		return "One command turns two unconfigured nodes into a pair; then the active node loses power."
	case "Runbooks":
		return "For each runbook a pair is put into its situation, its commands are typed, and their output is compared with the page."
	case "ScriptsOnZFS":
		return "The scripts that make test runs on the simulator, here on OpenZFS."
	case "Drill":
		return "Replication is interrupted in many ways. Afterwards both nodes hold the same data, and no process of it is left."
	case "Images":
		return "The standby gets the images that the active node runs, whatever fails in between."
	}
	return ""
}

// about describes a scenario in a sentence; it is empty where the name says it all.
func about(scenario string) string { return abouts()[scenario] }

func abouts() map[string]string {
	return map[string]string{
		"keepalived ended":                         "keepalived ends without a handover.",
		"switchover":                               "The operator moves the services: all data is sent before the virtual IP moves.",
		"planned stop of keepalived":               "systemctl stop keepalived, which hands over first.",
		"reboot of the active node":                "The active node reboots in order. It returns as a standby.",
		"SIGHUP":                                   "keepalived reloads its configuration on both nodes; nothing may move.",
		"hooks in the wrong order":                 "keepalived’s hooks end in another order than they began: the newest request counts, and nothing moves.",
		"Traefik exited":                           "Traefik’s container stops on the active node.",
		"Traefik paused":                           "Traefik’s container is frozen: it runs but does not answer.",
		"Traefik answers 5xx":                      "Traefik answers every request with an error.",
		"dockerd frozen, then the node held":       "The Docker Engine hangs while its containers keep serving, so nothing moves until the operator holds the node.",
		"dockerd dead, then the node held":         "The Docker Engine is killed, its containers keep running, and nothing may move. Then the operator holds the node.",
		"dockerd killed and started again":         "The Docker Engine is killed and restarted, as systemd does. The new engine ends the containers of the old one.",
		"pool suspended":                           "The pool of the active node fails, and ZFS suspends it.",
		"keepalived's parent killed":               "kill -9 of keepalived’s main process.",
		"keepalived's child killed":                "kill -9 of the process that speaks VRRP.",
		"keepalived killed at once":                "kill -9 of all keepalived processes: none is left to remove the virtual IP.",
		"the check deleted":                        "track-traefik is missing, which keepalived takes for success. status reports it, and the node keeps serving.",
		"the check insecure":                       "Every user may write to track-traefik, so keepalived does not run it. status reports it, and the node keeps serving.",
		"a promotion that fails":                   "The standby cannot mount its data: it releases the virtual IP and stays out.",
		"three flaps":                              "keepalived requests six roles in five seconds: the last request counts.",
		"keepalived stopped during a promotion":    "keepalived stops on the node that is promoting: the former active node takes over again.",
		"keepalived killed during a promotion":     "kill -9 of keepalived on the node that is promoting: the former active node takes over again.",
		"cable pulled":                             "The active node is cut off: it notices and stops before the standby starts.",
		"power pulled, the primary returns":        "The active node loses power. When it returns, nothing moves, and none of its services run.",
		"power pulled, the port forwards late":     "When the node returns, its switch port forwards nothing for ten seconds.",
		"power pulled, Docker revives":             "When the node returns, Docker starts its containers: they are stopped, without data.",
		"a drill":                                  "The services move to the other node and return, under constant writes.",
		"a drill without failback":                 "The other node cannot ask this node to take over again: nothing moves.",
		"a drill whose failback fails":             "The first node is held meanwhile: the services stay on the second node, and the drill reports it.",
		"both standbys receive":                    "One run replicates to two standbys; either could take over afterwards.",
		"the fresher of two takes over":            "The active node loses power after a replication to the last standby alone: that standby serves, and the first standby leaves it the virtual IP.",
		"the first node returns":                   "The node that lost power returns as a standby. It preserves its unreplicated changes and receives again.",
		"switchover past the one that comes first": "The operator moves the services to the second of two standbys.",
		"planned stop":                             "systemctl stop keepalived: the first standby takes over.",
		"the fresher one is held, and rejoins":     "The standby with the newest data is held, so the second standby takes over. The first preserves its unreplicated changes.",
		"the active node has the lease":            "The term comes from etcd, and both nodes report the holder of the lease.",
		"the nodes don't see each other":           "The nodes reach etcd but not each other: the standby gets the virtual IP but no lease, so it stays out.",
		"the active node loses etcd":               "The active node reaches nothing: it stops before another node can hold the lease.",
		"etcd is down":                             "Without etcd no node serves; when etcd returns, one node serves without help.",
		"both nodes on the previous release":       "A switchover to the other node and back, before the upgrade.",
		"the standby upgraded":                     "The standby has the new release, the active node the previous one: a switchover to the new release and back.",
		"the active node upgraded":                 "The second node is upgraded while it serves: a switchover to the other node and back.",
		"two bare nodes become a pair":             "setup refuses a wrong key and a wrong address, changes nothing in a dry run, and resumes after a kill.",
		"both cold-booted, the standby first":      "Both nodes lose power, and the standby boots first: the node that was active last serves again.",
	}
}
