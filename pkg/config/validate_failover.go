package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// services checks what says which Compose projects there are.
func (k checker) services() {
	s := k.config.Services
	if len(s.Projects) > 0 && s.Directory == "" {
		k.bad("services.directory", "is missing; services.projects are patterns relative to it")
	}
	for i, pattern := range s.Projects {
		at := fmt.Sprintf("services.projects[%d]", i)
		switch _, err := filepath.Match(pattern, "x"); {
		case err != nil:
			k.bad(at, "%q is not a pattern such as apps/*/compose.yaml", pattern)
		case filepath.IsAbs(pattern) || strings.HasPrefix(filepath.Clean(pattern), ".."):
			k.bad(at, "%q leaves services.directory; give it relative to that folder", pattern)
		}
	}
	if s.Parallel < 1 {
		k.bad("services.parallel", "must be at least 1")
	}
	if p := k.config.Probe.Ping; p != "" {
		if u, err := url.Parse(p); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			k.bad("probe.ping", "%q is not a URL such as http://127.0.0.1:8080/ping", p)
		}
	}
}

// witness checks the targets' form.
func (k checker) witness() {
	for i, target := range k.config.Witness.Targets {
		u, err := url.Parse(target)
		ok := err == nil && u.Hostname() != ""
		if ok {
			switch u.Scheme {
			case "ping":
				ok = u.Port() == "" && (u.Path == "" || u.Path == "/")
			case "tcp":
				ok = u.Port() != "" && (u.Path == "" || u.Path == "/")
			case "http", "https":
			default:
				ok = false
			}
		}
		if !ok {
			k.bad(fmt.Sprintf("witness.targets[%d]", i), "%q is none of ping://ADDRESS, tcp://ADDRESS:PORT and http://…", target)
			continue
		}
		ip, err := netip.ParseAddr(u.Hostname())
		if vip, known := k.config.virtualAddress(); known && err == nil && vip == ip {
			k.bad(fmt.Sprintf("witness.targets[%d]", i), "%s is virtual_ip, which says nothing about the network; take the router or another host", ip)
		}
	}
}

// keepalived checks what keepalived would cut off, ignore or refuse.
func (k checker) keepalived() {
	v := k.config.Keepalived
	if v.VirtualRouterID < 1 || v.VirtualRouterID > 255 {
		k.bad("keepalived.virtual_router_id", "%d is not between 1 and 255", v.VirtualRouterID)
	}
	switch {
	case v.Version != 2 && v.Version != 3:
		k.bad("keepalived.version", "%d is neither 2 nor 3", v.Version)
	case v.Version == 2 && (v.AdvertInterval%time.Second != 0 || v.AdvertInterval < time.Second || v.AdvertInterval > 255*time.Second):
		k.bad("keepalived.advert_interval", "%s is not a whole number of seconds, which VRRP version 2 needs; take version 3 for less", formatDuration(v.AdvertInterval))
	case v.Version == 3 && (v.AdvertInterval%(10*time.Millisecond) != 0 || v.AdvertInterval < 10*time.Millisecond || v.AdvertInterval > 40950*time.Millisecond):
		k.bad("keepalived.advert_interval", "%s is not 10ms to 40.95s in hundredths of a second", v.AdvertInterval)
	}
	if v.Version == 3 && v.PasswordFile != "" {
		k.bad("keepalived.password_file", "VRRP version 3 has no passwords; leave it out")
	}
}
