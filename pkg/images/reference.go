package images

import (
	"fmt"

	"github.com/distribution/reference"
)

// target is where an image's name leads.
type target struct {
	// Repository as the engine writes it: traefik, ghcr.io/owner/app.
	Repository string
	// Tag is "" where the name has a digest.
	Tag    string
	Digest string // sha256:…
	// Host is the registry, docker.io for names without one.
	Host string
	Path string // of the repository at the registry
}

// parse takes an image's name apart. Of a name with tag and digest, only the
// digest counts, as the engine has it.
func parse(ref string) (target, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return target{}, fmt.Errorf("image %q: %w", ref, err)
	}
	t := target{Repository: reference.FamiliarName(named), Host: reference.Domain(named), Path: reference.Path(named)}
	switch n := named.(type) {
	case reference.Canonical:
		t.Digest = n.Digest().String()
	case reference.Tagged:
		t.Tag = n.Tag()
	}
	return t, nil
}

// at is the registry's name of one version.
func (t target) at(version string) target {
	if len(version) > 7 && version[:7] == "sha256:" {
		t.Tag, t.Digest = "", version
	} else {
		t.Tag, t.Digest = version, ""
	}
	return t
}

func (t target) version() string {
	if t.Digest != "" {
		return t.Digest
	}
	return t.Tag
}

func (t target) String() string {
	if t.Digest != "" {
		return t.Repository + "@" + t.Digest
	}
	return t.Repository + ":" + t.Tag
}
