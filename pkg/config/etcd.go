package config

import (
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"
)

// Etcd is a lease that a node must hold to be active. At most one node has it,
// however the nodes are cut off from each other.
type Etcd struct {
	// The members of an etcd cluster: https://10.0.0.5:2379. An odd number on
	// machines of which one may fail. Empty: no lease is needed.
	Endpoints []string `yaml:"endpoints"`
	// How long the lease lasts when it is not renewed. Another node takes over
	// from a lost node after at most this time.
	TTL time.Duration `yaml:"ttl" default:"15s"`
	// How long before the lease ends a node that cannot renew it begins to
	// step down. 4s of it are reserved for killing containers and for the
	// datasets; containers get the rest of services.stop_timeout.
	Margin time.Duration `yaml:"margin" default:"5s"`
	// Time limit for one request to etcd.
	Timeout time.Duration `yaml:"timeout" default:"2s"`
	// Prefix of the lease's key in etcd; each pair needs its own prefix.
	Prefix string `yaml:"prefix" default:"/understudy/"`
	// Certificate that this node shows etcd. Empty: none.
	CertFile string `yaml:"cert_file"`
	// Its key.
	KeyFile string `yaml:"key_file"`
	// Certificate authority of etcd. Empty: the system's.
	CAFile string `yaml:"ca_file"`
	// User to log in to etcd as. Empty: none.
	User string `yaml:"user"`
	// File with that user's password, which only root reads.
	PasswordFile string `yaml:"password_file"`
}

// Configured reports whether a lease is needed to be active.
func (e Etcd) Configured() bool { return len(e.Endpoints) > 0 }

const (
	// StopReserve is the part of the margin that is reserved for killing
	// containers and making the datasets read-only.
	StopReserve = 4 * time.Second
	// HurriedStop is the minimum time for containers to stop. A node that is
	// cut off gives no more, because its peer waits for it.
	HurriedStop = time.Second
)

// RenewEvery is how often the lease is renewed: several attempts may fail
// before it is abandoned.
func (e Etcd) RenewEvery() time.Duration { return max((e.TTL-e.Margin)/5, 200*time.Millisecond) }

func (k checker) etcd() {
	e, at := k.config.Witness.Etcd, "witness.etcd."
	if !e.Configured() {
		return
	}
	for i, endpoint := range e.Endpoints {
		u, err := url.Parse(endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Port() == "" || u.Path != "" && u.Path != "/" {
			k.bad(fmt.Sprintf("%sendpoints[%d]", at, i), "%q is not a URL such as https://10.0.0.5:2379", endpoint)
			continue
		}
		if u.Scheme == "http" && e.CertFile+e.CAFile != "" {
			k.bad(fmt.Sprintf("%sendpoints[%d]", at, i), "%s is not encrypted, although certificates are given; write https", endpoint)
		}
		if vip, known := k.config.virtualAddress(); known && u.Hostname() == vip.String() {
			k.bad(fmt.Sprintf("%sendpoints[%d]", at, i), "%s is virtual_ip, which moves with the lease; take another host", vip)
		}
	}
	if (e.CertFile == "") != (e.KeyFile == "") {
		k.bad(at+"key_file", "cert_file and key_file are given together or not at all")
	}
	if (e.User == "") != (e.PasswordFile == "") {
		k.bad(at+"password_file", "user and password_file are given together or not at all")
	}
	if !strings.HasPrefix(e.Prefix, "/") || path.Clean(e.Prefix)+"/" != e.Prefix {
		k.bad(at+"prefix", "%q is not a path such as /understudy/home/", e.Prefix)
	}
	k.leaseTimes(e, at)
}

// leaseTimes checks that a node which can't renew has time to notice, and to
// stop.
func (k checker) leaseTimes(e Etcd, at string) {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"ttl", e.TTL}, {"margin", e.Margin}, {"timeout", e.Timeout}} {
		if d.value <= 0 {
			k.bad(at+d.name, "must be longer than 0")
			return
		}
	}
	if e.TTL%time.Second != 0 || e.TTL < 2*time.Second {
		k.bad(at+"ttl", "%s is not a whole number of seconds, at least 2", formatDuration(e.TTL))
	}
	stop := min(k.config.Services.StopTimeout, HurriedStop)
	if need := stop + StopReserve; e.Margin < need {
		k.bad(at+"margin", "%s is too short: containers get at least %s of services.stop_timeout, and killing and the datasets need %s; give %s or more",
			formatDuration(e.Margin), formatDuration(stop), formatDuration(StopReserve), formatDuration(need))
	}
	if least := e.Margin + 2*e.Timeout + time.Second; e.TTL < least {
		k.bad(at+"ttl", "%s leaves no time for two attempts to renew before the margin of %s begins; give %s or more", formatDuration(e.TTL), formatDuration(e.Margin), formatDuration(least))
	}
}
