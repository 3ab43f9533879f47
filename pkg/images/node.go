package images

import (
	"context"
	"io"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
)

// Engine is the Docker Engine: see package docker.
type Engine interface {
	Info(ctx context.Context) (docker.Info, error)
	Containers(ctx context.Context) ([]docker.Container, error)
	Inspect(ctx context.Context, name string) (docker.Details, error)
	InspectImage(ctx context.Context, ref string) (docker.Image, error)
	TagImage(ctx context.Context, id, repository, tag string) error
	RemoveImage(ctx context.Context, ref string) error
	Pull(ctx context.Context, p docker.Pull) error
	Load(ctx context.Context, what string, in io.Reader, stall time.Duration, progress docker.Progress) ([]string, error)
	Save(ctx context.Context, id string, out io.Writer, stall time.Duration) error
}

// Peers are the other nodes.
type Peers interface {
	// Manifest asks a node for its images.
	Manifest(ctx context.Context, from config.Node) (Manifest, error)
	// Export has a node write an image; read has to read all of it.
	Export(ctx context.Context, from config.Node, id string, read func(io.Reader) error) error
}

// Node is this node with all that its images need.
type Node struct {
	Config *config.Config
	Self   config.Node
	State  *state.Dir
	Engine Engine
	Peers  Peers
	Runner run.Programs
	// Projects finds the projects with their images.
	Projects func(ctx context.Context) ([]compose.ProjectImages, error)
	// Credentials are asked for once for each registry.
	Credentials Credentials
	// Free says how many bytes a folder's file system has left.
	Free func(folder string) (int64, error)
	Log  zerolog.Logger
	Now  func() time.Time
}

// New puts this node together. dockerDir holds docker's credentials.
func New(cfg *config.Config, self config.Node, dir *state.Dir, runner run.Programs, dockerDir string, log zerolog.Logger, now func() time.Time) *Node {
	return &Node{
		Config: cfg, Self: self, State: dir, Engine: docker.New(cfg.Services.Socket), Runner: runner,
		Peers: sshPeers{cfg: cfg, runner: runner},
		Projects: func(ctx context.Context) ([]compose.ProjectImages, error) {
			return compose.Images(ctx, cfg.Services)
		},
		Credentials: Credentials{Dir: dockerDir, Runner: runner},
		Free:        freeBytes, Log: log, Now: now,
	}
}
