package compose

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestBinds(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	const file = `
services:
  web:
    image: web
    volumes:
      - ./data/../data/:/data
      - ~/up:/up
      - /abs:/abs:ro
      - {type: bind, source: ../beside, target: /beside}
      - {type: tmpfs, target: /tmp}
      - named:/named
      - plain:/plain
      - nfs:/nfs
      - relative:/relative
    secrets: [key]
    configs: [conf]
  off: {image: off, profiles: [off], volumes: ["/off:/off"]}
  none: {image: none, scale: 0, volumes: ["/none:/none"]}
volumes:
  named: {driver_opts: {type: none, o: bind, device: /srv/named}}
  relative: {driver: local, driver_opts: {type: none, o: bind, device: ./rel}}
  plain: {}
  nfs: {driver_opts: {type: nfs, o: addr=10.0.0.1, device: ":/export"}}
  unused: {driver_opts: {type: none, o: bind, device: /srv/unused}}
secrets: {key: {file: ./key}}
configs: {conf: {file: /etc/conf}}
`
	dir, p := one(t, map[string]string{"app/compose.yaml": file})
	want := []string{"/abs", "/etc/conf", "/home/me/up", "/srv/named", filepath.Join(filepath.Dir(dir), "beside"), dir + "/data", dir + "/key", dir + "/rel"}
	slices.Sort(want)
	if p.Err != nil || !slices.Equal(p.Binds, want) {
		t.Errorf("binds are %q (%v)\nwant %q", p.Binds, p.Err, want)
	}
	t.Setenv("HOME", "")
	if _, p := one(t, map[string]string{"app/compose.yaml": file}); p.Err == nil || !strings.Contains(p.Err.Error(), "HOME") {
		t.Errorf("without HOME: %v, %q", p.Err, p.Binds)
	}
}

func TestNetworksAndWarnings(t *testing.T) {
	_, p := one(t, map[string]string{"app/compose.yaml": `
version: "3"
services:
  a: {image: a, restart: always, networks: [front, own], healthcheck: {test: [CMD, x]}}
  b: {image: b, restart: "on-failure:3", container_name: bee, networks: [back], healthcheck: {disable: true}}
  c: {build: ., restart: unless-stopped}
  d: {build: ., image: d, deploy: {restart_policy: {condition: any}}}
  e: {image: e, network_mode: host, deploy: {restart_policy: {condition: none}}}
networks:
  front: {external: true, name: proxy}
  back: {external: true}
  unused: {external: true}
  own: {}
`})
	if p.Err != nil || !slices.Equal(p.Networks, []string{"back", "proxy"}) {
		t.Errorf("networks are %q (%v)", p.Networks, p.Err)
	}
	want := []Service{
		{Name: "a", Image: "a", Container: "app-a-1", Restart: "always", Health: true},
		{Name: "b", Image: "b", Container: "bee", Restart: "on-failure"},
		{Name: "c", Container: "app-c-1", Restart: "unless-stopped"},
		{Name: "d", Image: "d", Container: "app-d-1", Restart: "always"},
		{Name: "e", Image: "e", Container: "app-e-1", Restart: "no"},
	}
	if !slices.Equal(p.Services, want) {
		t.Errorf("services are %+v", p.Services)
	}
	var heads []string
	for _, w := range p.Warnings {
		heads = append(heads, strings.Join(strings.Fields(w)[:4], " "))
	}
	if want := []string{"service a has the", "service b has the", "service c is built", "service d has the"}; !slices.Equal(heads, want) {
		t.Errorf("warnings are %q", p.Warnings)
	}
}
