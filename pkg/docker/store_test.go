package docker

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// With containerd's store, an engine lists the names with a digest among the tags, and
// has nothing but a digest of an image of which another one brought the layers.
func TestContainerdsImages(t *testing.T) {
	e := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/images/web:1/json":
			fmt.Fprint(w, `{"Id":"sha256:1","RepoTags":["web:1","web@sha256:1"],"RepoDigests":["web@sha256:1"],"Os":"linux","Architecture":"amd64"}`)
		case "/images/web:2/json":
			fmt.Fprint(w, `{"Id":"sha256:2","RepoTags":["web@sha256:2"],"RepoDigests":["web@sha256:2"],"Os":"","Architecture":"","RootFS":{}}`)
		}
	})
	whole, err := e.InspectImage(t.Context(), "web:1")
	if err != nil || !slices.Equal(whole.Tags, []string{"web:1"}) || whole.Digest("web") != "sha256:1" || whole.Incomplete() {
		t.Errorf("%+v, %v", whole, err)
	}
	part, err := e.InspectImage(t.Context(), "web:2")
	if err != nil || len(part.Tags) != 0 || !part.Incomplete() {
		t.Errorf("%+v, %v", part, err)
	}
	if (Image{}).Incomplete() {
		t.Error("no image")
	}
}

// The images lie where their containerd has its root.
func TestImageRoot(t *testing.T) {
	const own, system = `,"Containerd":{"Address":"/var/run/docker/containerd/containerd.sock"}`, `,"Containerd":{"Address":"/run/containerd/containerd.sock"}`
	const containerd = `,"DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]`
	for name, c := range map[string]struct {
		info     string
		runs     bool   // a containerd of the system's
		settings string // its
		want     string
	}{
		"classic store":           {system, true, "", "/data/docker"},
		"its own":                 {containerd + own, true, "", "/data/docker/containerd/daemon"},
		"its own, not told":       {containerd, false, "", "/data/docker/containerd/daemon"},
		"the system's":            {containerd + system, true, "", "/var/lib/containerd"},
		"the system's, not told":  {containerd, true, "", "/var/lib/containerd"},
		"with a root":             {containerd + system, true, "version = 2\nroot = \"/fast/containerd\"\n[plugins]\n", "/fast/containerd"},
		"with a root, and spaces": {containerd + system, true, "  root='/fast/containerd'\n", "/fast/containerd"},
		"without a root":          {containerd + system, true, "version = 2\n[plugins]\nroot = \"/elsewhere\"\n", "/var/lib/containerd"},
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, `{"DockerRootDir":"/data/docker","OSType":"linux","Architecture":"x86_64"`+c.info+`}`)
			})
			e.host = t.TempDir()
			for path, text := range map[string]string{"etc/containerd/config.toml": c.settings, systemContainerd: ""} {
				path = filepath.Join(e.host, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if filepath.Base(path) == "containerd.sock" && !c.runs {
					continue
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if info, err := e.Info(t.Context()); err != nil || info.Root != c.want {
				t.Errorf("%+v, %v, want %s", info, err, c.want)
			}
		})
	}
}
