package deliver

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// internet stands in for the services: an address on loopback for those that
// people run themselves, and a proxy that leads discord.com and the like here,
// with a certificate that this process trusts.
type internet struct {
	plain *httptest.Server
	smtp  net.Listener

	mu   sync.Mutex
	got  []received
	mode string // "", fail, hang, redirect
}

// received is one message as a service got it.
type received struct{ host, path, body string }

var world *internet

// TestMain sets the proxy and the certificates up before anything else: Go reads
// both from the environment once.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "deliver")
	if err == nil {
		world, err = newInternet(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	world.plain.Close()
	world.smtp.Close()
	os.RemoveAll(dir)
	os.Exit(code)
}

func newInternet(dir string) (*internet, error) {
	w := &internet{}
	certificate, err := w.certificate(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	w.plain = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect && w.cut() {
			http.Error(rw, "no network", http.StatusBadGateway)
			return
		}
		if r.Method == http.MethodConnect {
			w.connect(rw, certificate)
			return
		}
		w.serve(rw, r)
	}))
	if w.smtp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	go w.serveMail()
	for key, value := range map[string]string{"HTTPS_PROXY": w.plain.URL, "HTTP_PROXY": "", "NO_PROXY": "", "SSL_CERT_FILE": filepath.Join(dir, "ca.pem"), "SSL_CERT_DIR": dir} {
		if err := os.Setenv(key, value); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *internet) certificate(file string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"discord.com", "hooks.slack.com", "api.telegram.org"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}

// connect serves what wants to go to some host's port 443.
func (w *internet) connect(rw http.ResponseWriter, certificate tls.Certificate) {
	conn, _, err := rw.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n\r\n")
	server := &http.Server{Handler: http.HandlerFunc(w.serve), ReadHeaderTimeout: time.Minute}
	go server.Serve(&oneConn{tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}}), make(chan struct{})})
}

// oneConn is a listener that accepts one connection.
type oneConn struct {
	net.Conn
	taken chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case <-l.taken:
		return nil, io.EOF
	default:
		close(l.taken)
		return l.Conn, nil
	}
}
func (l *oneConn) Addr() net.Addr { return l.Conn.LocalAddr() }
func (l *oneConn) Close() error   { return nil }

func (w *internet) set(mode string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mode, w.got = mode, nil
}

// cut reports whether nothing outside can be reached.
func (w *internet) cut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mode == "cut"
}

func (w *internet) messages() []received {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]received{}, w.got...)
}

func (w *internet) serve(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	mode := w.mode
	if strings.HasPrefix(r.URL.Path, "/moved") {
		mode = ""
	}
	if mode == "" {
		w.got = append(w.got, received{r.Host, r.URL.Path, r.Header.Get("Title") + "\n" + string(body)})
	}
	w.mu.Unlock()
	switch mode {
	case "fail", "cut":
		http.Error(rw, "this is broken", http.StatusInternalServerError)
	case "hang", "hang-web":
		select { // longer than the test waits for a message
		case <-r.Context().Done():
		case <-time.After(5 * time.Second):
		}
	case "redirect":
		http.Redirect(rw, r, w.plain.URL+"/moved", http.StatusTemporaryRedirect)
	default:
		switch {
		case r.Host == "discord.com":
			rw.WriteHeader(http.StatusNoContent)
		case r.Host == "hooks.slack.com":
			fmt.Fprint(rw, "ok")
		case r.Host == "api.telegram.org":
			rw.Header().Set("Content-Type", "application/json")
			fmt.Fprint(rw, `{"ok":true,"result":{"message_id":1}}`)
		case r.URL.Path == "/message": // Gotify's ids are numbers
			rw.Header().Set("Content-Type", "application/json")
			fmt.Fprint(rw, `{"id":1}`)
		default:
			rw.Header().Set("Content-Type", "application/json")
			fmt.Fprint(rw, `{"id":"1"}`)
		}
	}
}

// serveMail speaks just enough SMTP.
func (w *internet) serveMail() {
	for {
		conn, err := w.smtp.Accept()
		if err != nil {
			return
		}
		go w.mail(conn)
	}
}

func (w *internet) mail(conn net.Conn) {
	defer conn.Close()
	w.mu.Lock()
	mode := w.mode
	w.mu.Unlock()
	if mode == "hang" {
		time.Sleep(5 * time.Second)
		return
	}
	say := func(text string) { fmt.Fprint(conn, text+"\r\n") }
	say("220 test")
	var body strings.Builder
	data := false
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		line := lines.Text()
		word := strings.ToUpper(strings.Fields(line + " x")[0])
		switch {
		case data && line == ".":
			data = false
			w.mu.Lock()
			w.got = append(w.got, received{"smtp", "", body.String()})
			w.mu.Unlock()
			say("250 kept")
		case data:
			body.WriteString(line + "\n")
		case (mode == "fail" || mode == "cut") && word == "MAIL":
			say("550 not you")
		case word == "DATA":
			data = true
			say("354 go on")
		case word == "QUIT":
			say("221 bye")
			return
		default:
			say("250 fine")
		}
	}
}
