package notify

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/config"
)

// Heartbeat pings a service such as healthchecks.io when a scheduled program starts and
// ends. A nil Heartbeat pings nothing. A failed ping is logged and changes nothing.
type Heartbeat struct {
	url     string
	timeout time.Duration
	log     zerolog.Logger
	start   sync.WaitGroup
}

// NewHeartbeat returns the heartbeat of a program (replicate, images or lag) on a node,
// or nil if none is configured.
func NewHeartbeat(cfg *config.Config, program, node string, log zerolog.Logger) (*Heartbeat, error) {
	file := cfg.Heartbeat.URLsFile
	if file == "" {
		return nil, nil
	}
	lines, err := secretLines(file)
	if err != nil {
		return nil, err
	}
	h := &Heartbeat{timeout: cfg.Heartbeat.Timeout, log: log}
	for _, line := range lines {
		fields := strings.Fields(line.text)
		if len(fields) != 2 {
			return nil, &SecretError{File: file, Line: line.number, Text: "want a program and a URL", hint: "such as: replicate https://hc-ping.com/UUID"}
		}
		name, only, _ := strings.Cut(fields[0], "@")
		if name != "replicate" && name != "images" && name != "lag" {
			return nil, &SecretError{File: file, Line: line.number, Text: fmt.Sprintf("%q is none of replicate, images and lag", name)}
		}
		u, err := url.Parse(fields[1])
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, &SecretError{File: file, Line: line.number, Text: "not a URL that begins with http", hint: "such as: replicate https://hc-ping.com/UUID"}
		}
		if name == program && (only == node || only == "" && h.url == "") {
			h.url = strings.TrimSuffix(fields[1], "/")
		}
	}
	if h.url == "" {
		return nil, nil
	}
	return h, nil
}

// Start pings that the program has started. It does not wait for an answer.
func (h *Heartbeat) Start(ctx context.Context) {
	if h != nil {
		h.start.Go(func() { h.ping(ctx, "/start") })
	}
}

// End pings the program's exit code, 0 for success. It waits for the answer, for
// heartbeat.timeout at most.
func (h *Heartbeat) End(ctx context.Context, code int) {
	if h == nil {
		return
	}
	h.start.Wait() // bounded too; the start must not arrive after the end
	if code == 0 {
		h.ping(ctx, "")
		return
	}
	h.ping(ctx, "/"+strconv.Itoa(code))
}

func (h *Heartbeat) ping(ctx context.Context, path string) {
	// An interrupted run pings too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.timeout)
	defer cancel()
	if err := get(ctx, h.url+path); err != nil {
		h.log.Info().Str("error", Redact(err.Error(), h.url)).Msg("heartbeat failed")
	}
}

func get(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "understudy")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s: status %s", address, response.Status)
	}
	return nil
}
