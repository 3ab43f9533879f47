package config

import (
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkLoad is what each run of keepalived's check pays.
func BenchmarkLoad(b *testing.B) {
	file := filepath.Join(b.TempDir(), "config.yaml")
	text := "nodes:\n  - {name: a, address: 192.0.2.1, priority: 100}\n  - {name: b, address: 192.0.2.2, priority: 90}\n" +
		"virtual_ip: 192.0.2.100/24\ninterface: eth0\nreplication:\n  datasets: [{name: tank, recursive: true}]\n  keep: {last: 10}\n" +
		"services: {directory: /srv/server, projects: [apps/*/docker-compose.yml], first: [traefik]}\nprobe: {container: traefik}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(LoadOptions{File: file}); err != nil {
			b.Fatal(err)
		}
	}
}
