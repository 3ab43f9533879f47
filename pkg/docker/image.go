package docker

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Image is what the engine knows of one image.
type Image struct {
	ID string `json:"id"`
	// Tags are its names, such as traefik:v3.
	Tags []string `json:"tags,omitempty"`
	// Digests are where registries have it: REPOSITORY@sha256:….
	Digests []string `json:"digests,omitempty"`
	// Platform is OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT.
	Platform string `json:"platform"`
	// Size is what it takes unpacked, in bytes.
	Size    int64     `json:"bytes"`
	Created time.Time `json:"created,omitzero"`
	// Layers are the sums of its layers' contents, from the bottom.
	Layers []string `json:"layers,omitempty"`
}

// Same reports whether both are one image. An engine that keeps images in
// containerd gives them other ids than one that does not, hence the contents.
func (i Image) Same(other Image) bool {
	if i.ID != "" && i.ID == other.ID {
		return true
	}
	return len(i.Layers) > 0 && slices.Equal(i.Layers, other.Layers) &&
		i.Created.Equal(other.Created) && i.Platform == other.Platform
}

// Incomplete reports whether the engine has only a part of the image, and so names no
// platform. Containerd's store leaves an image so when it pulls one of which an image
// that was loaded before has brought the layers. Loading it makes it whole.
func (i Image) Incomplete() bool { return strings.HasPrefix(i.Platform, "/") }

// Digest is the digest under which a repository has the image; "" when it is
// not known to have it.
func (i Image) Digest(repository string) string {
	for _, d := range i.Digests {
		if name, digest, found := strings.Cut(d, "@"); found && name == repository {
			return digest
		}
	}
	return ""
}

// InspectImage looks at an image by its name, NAME@DIGEST or id. NotFound tells
// that it is not here.
func (e *Engine) InspectImage(ctx context.Context, ref string) (Image, error) {
	var i struct {
		ID                    string `json:"Id"`
		RepoTags, RepoDigests []string
		OS                    string `json:"Os"`
		Architecture, Variant string
		Size                  int64
		Created               string
		RootFS                struct{ Layers []string }
	}
	err := e.call(ctx, 2*DefaultTimeout, "look at image "+ref, http.MethodGet, "/images/"+escape(ref)+"/json", nil, nil, &i)
	if err != nil {
		return Image{}, err
	}
	// With containerd's store, engines list NAME@DIGEST among the tags too.
	tags := slices.DeleteFunc(i.RepoTags, func(tag string) bool { return strings.Contains(tag, "@") })
	image := Image{ID: i.ID, Tags: tags, Digests: i.RepoDigests, Platform: i.OS + "/" + i.Architecture, Size: i.Size, Layers: i.RootFS.Layers}
	if i.Variant != "" {
		image.Platform += "/" + i.Variant
	}
	// An image may have no time at all.
	image.Created, _ = time.Parse(time.RFC3339Nano, i.Created)
	return image, nil
}

// TagImage gives an image one more name, and takes it from the one that had it.
func (e *Engine) TagImage(ctx context.Context, id, repository, tag string) error {
	return e.call(ctx, 2*DefaultTimeout, "tag image "+short(trim(id))+" as "+repository+":"+tag, http.MethodPost,
		"/images/"+escape(id)+"/tag", url.Values{"repo": {repository}, "tag": {tag}}, nil, nil)
}

// InUse reports whether err is the engine's word that something needs an image.
func InUse(err error) bool { return status(err) == http.StatusConflict }

// RemoveImage takes a name away from an image, or removes the image when ref is
// an id or its last name. Never by force: InUse tells that a container has it.
// One that is not here is fine.
func (e *Engine) RemoveImage(ctx context.Context, ref string) error {
	err := e.call(ctx, time.Minute, "remove image "+ref, http.MethodDelete, "/images/"+escape(ref), nil, nil, nil)
	if NotFound(err) {
		return nil
	}
	return err
}

// Info is what matters here of the engine itself.
type Info struct {
	// Root is the folder that holds its images.
	Root string
	// Platform is what it runs unless told otherwise.
	Platform string
	// Insecure are the registries, as CIDRs and host names, that may be spoken
	// to without TLS.
	Insecure []string
	// Containerd says that images are kept by containerd.
	Containerd bool
}

// Info asks the engine about itself.
func (e *Engine) Info(ctx context.Context) (Info, error) {
	var i struct {
		DockerRootDir, OSType, Architecture string
		DriverStatus                        [][2]string
		Containerd                          struct{ Address string } // since API 1.46
		RegistryConfig                      struct {
			InsecureRegistryCIDRs []string
			IndexConfigs          map[string]struct{ Secure bool }
		}
	}
	if err := e.call(ctx, 2*DefaultTimeout, "ask the Docker Engine about itself", http.MethodGet, "/info", nil, nil, &i); err != nil {
		return Info{}, err
	}
	info := Info{Root: i.DockerRootDir, Platform: i.OSType + "/" + architecture(i.Architecture), Insecure: i.RegistryConfig.InsecureRegistryCIDRs}
	for host, index := range i.RegistryConfig.IndexConfigs {
		if !index.Secure {
			info.Insecure = append(info.Insecure, host)
		}
	}
	for _, pair := range i.DriverStatus {
		info.Containerd = info.Containerd || strings.Contains(pair[1], "containerd.snapshotter")
	}
	if info.Containerd {
		info.Root = e.containerdRoot(i.DockerRootDir, i.Containerd.Address)
	}
	return info, nil
}

// systemContainerd is the socket of a containerd that is a service of its own.
const systemContainerd = "run/containerd/containerd.sock"

// containerdRoot returns the folder of the containerd that keeps an engine's images.
// The engine starts one below its own folder where none runs. address is that of its
// socket; "" where the engine does not tell.
func (e *Engine) containerdRoot(dockerRoot, address string) string {
	_, err := os.Stat(filepath.Join(e.host, systemContainerd))
	if address == "" && err != nil || address != "" && strings.Contains(address, "/docker/") {
		return filepath.Join(dockerRoot, "containerd", "daemon")
	}
	const usual = "/var/lib/containerd"
	settings, err := os.ReadFile(filepath.Join(e.host, "etc/containerd/config.toml"))
	if err != nil {
		return usual
	}
	for line := range strings.Lines(string(settings)) {
		if strings.HasPrefix(strings.TrimSpace(line), "[") {
			break // the tables, of plugins and the like, come last
		}
		key, value, _ := strings.Cut(line, "=")
		if root := strings.Trim(strings.TrimSpace(value), `"'`); strings.TrimSpace(key) == "root" && filepath.IsAbs(root) {
			return root
		}
	}
	return usual
}

// architecture turns the kernel's name of a machine into that of images.
func architecture(machine string) string {
	switch machine {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "armv7l", "armv6l":
		return "arm"
	case "i386", "i686":
		return "386"
	}
	return machine
}

func trim(id string) string { return strings.TrimPrefix(id, "sha256:") }
