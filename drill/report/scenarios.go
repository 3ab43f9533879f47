package report

import "slices"

// groupOrder is that of the report: what people ask for first stands first.
var groupOrder = []string{"Takeover", "GiveBack", "Packaged", "Setup", "Upgrade", "SelfDrill", "ThreeNodes", "Lease", "Runbooks", "Drill", "Images", "LagOfAPair", "ScriptsOnZFS"}

// ordered are the results, group by group.
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

// groupTitle is what a test's scenarios are called for a person.
func groupTitle(group string) string {
	switch group {
	case "Takeover":
		return "Takeovers"
	case "GiveBack":
		return "Giving back"
	case "Drill":
		return "Replication"
	case "SelfDrill":
		return "The pair’s own drill"
	case "ThreeNodes":
		return "Three nodes"
	case "Lease":
		return "A lease of etcd"
	case "Setup":
		return "Set-up"
	case "ScriptsOnZFS":
		return "Commands"
	case "Packaged":
		return "From the packages to the way back"
	case "LagOfAPair":
		return "What would be lost"
	}
	return group
}

// groupAbout says in a sentence or two what was done.
func groupAbout(group string) string {
	switch group {
	case "Takeover":
		return "A pair with Traefik and applications that are written to all the time. Something breaks; the other node takes over, " +
			"or must not. In each: never two nodes that can write at the same moment, and no acknowledged write is gone."
	case "GiveBack":
		return "What comes after a takeover: a node that returns, histories that differ, moving there and back."
	case "SelfDrill":
		return "failover-notify drill, as the pair’s owner would call it: there and back, and what becomes of it when something fails."
	case "ThreeNodes":
		return "One active node and two standbys: the one with the newer data takes over, whichever gets the address first."
	case "Lease":
		return "The nodes need a lease of an etcd that is none of them: without it a node stops, before another one can have it."
	case "Upgrade":
		return "A pair on the previous release is upgraded, the standby first. With each pairing of releases everything moves to the other node and back."
	case "Setup":
		return "Two nodes that know nothing of each other become a pair by the command that a person types, and the plug is pulled."
	case "Runbooks":
		return "A pair is brought into the situation of each page, what the page says is typed, and what comes out is compared."
	case "ScriptsOnZFS":
		return "The scripts of all commands that make test runs on the simulator."
	case "Drill":
		return "Replication is broken off in every way. Afterwards both sides hold the same, and nothing of it still runs."
	case "Images":
		return "The standby gets the images that the active node runs, whatever fails on the way."
	}
	return ""
}

// about says in a sentence what happens in a scenario; empty where its name
// does.
func about(scenario string) string { return abouts()[scenario] }

func abouts() map[string]string {
	return map[string]string{
		"keepalived ended":                         "keepalived ends in order, without anybody having handed over before.",
		"switchover":                               "A person moves the services: everything is sent before the address moves.",
		"planned stop of keepalived":               "systemctl stop keepalived, which hands over first.",
		"reboot of the active node":                "The active node shuts down in order and comes back: it takes nothing back.",
		"SIGHUP":                                   "keepalived reads its configuration again on both nodes; nothing may move.",
		"hooks in the wrong order":                 "keepalived’s hooks end in another order than they began: the newest wish counts, nothing moves.",
		"Traefik exited":                           "Traefik’s container stops on the active node.",
		"Traefik paused":                           "Traefik’s container is frozen: it runs, but does not answer.",
		"Traefik answers 5xx":                      "Traefik runs and answers every request with an error.",
		"dockerd frozen, then the node held":       "The Docker Engine hangs; its containers go on serving, so nothing moves until a person holds the node.",
		"dockerd dead, then the node held":         "The Docker Engine is killed with all it started but the containers; nothing may move. Then a person takes the node out.",
		"dockerd killed and started again":         "The Docker Engine is killed and, as systemd does, started again: it ends the containers that the first one left.",
		"pool suspended":                           "The pool of the active node fails and ZFS suspends it.",
		"keepalived's parent killed":               "kill -9 of keepalived’s main process.",
		"keepalived's child killed":                "kill -9 of the process that speaks VRRP.",
		"keepalived killed at once":                "kill -9 of all of keepalived: nobody takes the address away.",
		"the check deleted":                        "track-traefik is gone, which keepalived takes for success: status says so, the node goes on.",
		"the check insecure":                       "Everybody may write track-traefik, so keepalived does not run it: status says so, the node goes on.",
		"a promotion that fails":                   "The standby can’t mount its data: it gives the address back and stays out.",
		"three flaps":                              "keepalived changes its mind six times in five seconds: the last wish counts.",
		"keepalived stopped during a promotion":    "The node that is taking over loses its keepalived in the middle: the other one takes over again.",
		"keepalived killed during a promotion":     "As before, by kill -9.",
		"cable pulled":                             "The active node is cut off: it notices and stops before the other one starts.",
		"power pulled, the primary returns":        "The power of the active node goes; when it comes back, nothing moves and nothing of it runs.",
		"power pulled, the port forwards late":     "When the node comes back, its switch port lets nothing through for ten seconds.",
		"power pulled, Docker revives":             "When the node comes back, Docker starts its containers again: they are stopped, without data.",
		"a drill, there and back":                  "The services go to the other node and come back, while the applications are written to.",
		"a drill with no way back":                 "The other node could not ask this one to take over again: nothing moves.",
		"a drill whose way back fails":             "The node that served is held meanwhile: the services stay on the other one, and that is said.",
		"both standbys receive":                    "A replication to two standbys; either could take over afterwards.",
		"the fresher of two takes over":            "The power of the active node goes after a replication to the last in line alone: that one serves, the other one leaves it the address.",
		"the first node returns":                   "The node whose power went comes back: it takes nothing, keeps what only it has, and receives again.",
		"switchover past the one that comes first": "A person moves the services to one of two standbys, past the other one.",
		"planned stop":                             "systemctl stop keepalived: the standby that comes first gets everything.",
		"the fresher one is held, and rejoins":     "The standby with the newest data may not take over: the other one does, and what only the first has is kept.",
		"the active node has the lease":            "The term comes from etcd, and both nodes say who has the lease.",
		"the nodes don't see each other":           "Cut off from each other alone: the standby gets the address and no lease, so it stays out.",
		"the active node loses etcd":               "Cut off from everything: it has stopped before the lease can be another’s.",
		"etcd is down":                             "Without etcd no node goes on; when it is back, one does by itself.",
		"both nodes on the previous release":       "A switchover to the other node and back, before anything is upgraded.",
		"the standby upgraded":                     "One node has the new release, the other one the previous: a switchover to the new one and back.",
		"the active node upgraded":                 "The other node follows while it serves: a switchover to the other node and back.",
		"two bare nodes become a pair":             "A wrong key and a wrong address are refused, a dry run changes nothing, a set-up that was killed goes on.",
		"both cold-booted, the standby first":      "Both lose power, the standby boots first: the node that was active last serves again.",
	}
}
