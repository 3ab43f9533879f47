package lease

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/understudy-ha/understudy/pkg/config"
)

// keyName is the name of the holder's key below witness.etcd.prefix.
const keyName = "active"

// Lost connections are retried soon: a lease lasts for seconds.
const (
	retryFirst, retryLast = 200 * time.Millisecond, 2 * time.Second
	// silence is the time after which an idle connection is probed, the shortest that
	// the library accepts.
	silence = 10 * time.Second
)

// Etcd is an etcd cluster with the lease of one pair.
type Etcd struct {
	cfg config.Etcd

	mu     sync.Mutex
	client *clientv3.Client
}

// New returns the cluster of a configuration. It does not connect before the first
// call.
func New(cfg config.Etcd) *Etcd { return &Etcd{cfg: cfg} }

func (e *Etcd) key() string { return e.cfg.Prefix + keyName }

// Close ends the connections.
func (e *Etcd) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.client == nil {
		return nil
	}
	client := e.client
	e.client = nil
	return client.Close()
}

// open returns the client. The login may fail; the next call then tries again.
func (e *Etcd) open() (*clientv3.Client, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.client != nil {
		return e.client, nil
	}
	client, err := connect(e.cfg, e.cfg.Endpoints)
	if err == nil {
		e.client = client
	}
	return client, err
}

func connect(cfg config.Etcd, endpoints []string) (*clientv3.Client, error) {
	c := clientv3.Config{
		Endpoints: endpoints, DialTimeout: cfg.Timeout, DialKeepAliveTime: silence, DialKeepAliveTimeout: cfg.Timeout,
		PermitWithoutStream: true,
		// Errors are returned; the library would log them again.
		Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: retryFirst, Multiplier: 1.5, Jitter: 0.2, MaxDelay: retryLast},
			MinConnectTimeout: cfg.Timeout,
		})},
	}
	var err error
	if c.TLS, err = encryption(cfg); err != nil {
		return nil, err
	}
	if cfg.User != "" {
		if c.Username, c.Password, err = credentials(cfg); err != nil {
			return nil, err
		}
	}
	client, err := clientv3.New(c)
	if err != nil {
		return nil, &UnreachableError{endpoints, err}
	}
	return client, nil
}

// encryption reads the certificates. It returns nil without TLS.
func encryption(cfg config.Etcd) (*tls.Config, error) {
	if !strings.HasPrefix(cfg.Endpoints[0], "https:") {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CAFile != "" {
		text, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, &FileError{cfg.CAFile, err.Error(), "write etcd's certificate authority there, or remove witness.etcd.ca_file"}
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, &FileError{cfg.CAFile, "it contains no certificate", "write etcd's certificate authority there, as PEM"}
		}
	}
	if cfg.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, &FileError{cfg.CertFile, err.Error(), "witness.etcd.cert_file and key_file must be a certificate and its key, as PEM"}
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// credentials reads the password from a file that only its owner may access.
func credentials(cfg config.Etcd) (user, password string, err error) {
	info, err := os.Stat(cfg.PasswordFile)
	if err != nil {
		return "", "", &FileError{cfg.PasswordFile, err.Error(), "write the password of etcd's user there, mode 0600"}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", "", &FileError{cfg.PasswordFile, fmt.Sprintf("other users can access it (mode %04o)", info.Mode().Perm()), "chmod 0600 " + cfg.PasswordFile}
	}
	text, err := os.ReadFile(cfg.PasswordFile)
	if err != nil {
		return "", "", &FileError{cfg.PasswordFile, err.Error(), "run this as root"}
	}
	return cfg.User, strings.TrimRight(string(text), "\r\n"), nil
}

// limit bounds one request. It has a member without a leader return an error instead
// of waiting.
func (e *Etcd) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(clientv3.WithRequireLeader(ctx), e.cfg.Timeout)
}

// Member is the state of one member of the cluster.
type Member struct {
	Endpoint string `json:"endpoint"`
	Version  string `json:"version,omitempty"`
	Error    string `json:"error,omitempty"`
}

// Members asks each endpoint separately.
func (e *Etcd) Members(ctx context.Context) []Member {
	members := make([]Member, len(e.cfg.Endpoints))
	var asking sync.WaitGroup
	for i, endpoint := range e.cfg.Endpoints {
		asking.Go(func() { members[i] = e.member(ctx, endpoint) })
	}
	asking.Wait()
	return members
}

func (e *Etcd) member(ctx context.Context, endpoint string) Member {
	m := Member{Endpoint: endpoint}
	client, err := connect(e.cfg, []string{endpoint})
	if err != nil {
		m.Error = err.Error()
		return m
	}
	defer client.Close()
	ctx, cancel := e.limit(ctx)
	defer cancel()
	status, err := client.Status(ctx, endpoint)
	switch {
	case err != nil:
		m.Error = short(err)
	case status.Leader == 0:
		m.Version, m.Error = status.Version, "no leader: too few members are up"
	default:
		m.Version = status.Version
	}
	return m
}

// short returns an error in few words.
func short(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return err.Error()
}
