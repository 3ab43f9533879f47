package leasetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Cluster starts an etcd of three members on loopback.
func Cluster(t *testing.T) []*Server {
	t.Helper()
	Missing(t)
	const size = 3
	var members []*Server
	var cluster []string
	at := free(t, 2*size)
	for i := range size {
		client, peer, name := "http://"+at[2*i], "http://"+at[2*i+1], fmt.Sprintf("m%d", i)
		s := &Server{t: t, Endpoint: client}
		s.argv = []string{Program, "--name", name, "--data-dir", t.TempDir(), "--unsafe-no-fsync",
			"--listen-client-urls", client, "--advertise-client-urls", client,
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--logger", "zap", "--log-level", "error"}
		members, cluster = append(members, s), append(cluster, name+"="+peer)
	}
	for _, s := range members {
		s.argv = append(s.argv, "--initial-cluster", strings.Join(cluster, ","))
		s.launch()
		t.Cleanup(func() {
			s.End()
			if t.Failed() {
				t.Logf("%s said:\n%s", s.argv[2], s.log.String())
			}
		})
	}
	for _, s := range members {
		s.await()
	}
	return members
}

// Leads reports whether this member considers itself the leader.
func (s *Server) Leads() bool {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
	defer cancel()
	status, err := s.Client.Status(ctx, s.Endpoint)
	return err == nil && status.Leader == status.Header.MemberId
}
