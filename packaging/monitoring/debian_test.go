//go:build drill

package monitoring

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/internal/testhost"
	"github.com/understudy-ha/understudy/pkg/metrics"
	"github.com/understudy-ha/understudy/pkg/notify"
	"github.com/understudy-ha/understudy/pkg/notify/deliver"
)

// patience bounds every program that is started here.
const patience = 2 * time.Minute

// debian returns a folder in which a program of Debian's lies, which is fetched
// and unpacked, not installed, once a machine.
func debian(t *testing.T, program string, packages ...string) (root string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	root = filepath.Join(cache, "understudy", "debian", packages[0])
	if _, err := os.Stat(filepath.Join(root, program)); err == nil {
		return root
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		testhost.Missing(t, "this machine has no apt-get to fetch %s with", packages[0])
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, dir, append([]string{"apt-get", "download", "-q"}, packages...)...)
	if err != nil {
		testhost.Missing(t, "fetch %s: %v\n%s", packages[0], err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(files) != len(packages) {
		t.Fatalf("%v, %v", files, err)
	}
	unpacked := root + ".new"
	os.RemoveAll(unpacked)
	if err := os.MkdirAll(unpacked, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if out, err := run(t, dir, "dpkg-deb", "-x", file, unpacked); err != nil {
			t.Fatalf("unpack %s: %v\n%s", file, err, out)
		}
	}
	if err := os.Rename(unpacked, root); err != nil {
		t.Fatal(err)
	}
	return root
}

func run(t *testing.T, dir string, argv ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// start runs a server until the test ends.
func start(t *testing.T, attr *syscall.SysProcAttr, argv ...string) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = attr
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		if t.Failed() {
			t.Log(output.String())
		}
	})
}

// freePort is a port that nobody listened on just now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func await(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ready(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
	}
}

func TestRules(t *testing.T) {
	promtool := filepath.Join(debian(t, "usr/bin/promtool", "prometheus"), "usr/bin/promtool")
	for _, args := range [][]string{{"check", "rules", "understudy.rules.yml"}, {"test", "rules", "understudy.test.yml"}} {
		if out, err := run(t, "../prometheus", append([]string{promtool}, args...)...); err != nil {
			t.Errorf("promtool %s: %v\n%s", args[0], err, out)
		}
	}
}

// node_exporter reads what the programs write, all of it, without an error.
func TestNodeExporter(t *testing.T) {
	exporter := filepath.Join(debian(t, "usr/bin/prometheus-node-exporter", "prometheus-node-exporter"), "usr/bin/prometheus-node-exporter")
	dir := t.TempDir()
	sets := map[metrics.File]*metrics.Set{}
	for _, f := range metrics.Families() {
		if sets[f.File] == nil {
			sets[f.File] = metrics.New(f.File)
		}
		labels := make([]string, len(f.Labels))
		for i := range labels {
			labels[i] = `a "strange" \name` + "\n" + f.Labels[i]
		}
		sets[f.File].Add(f.Name, 1790000000.25, labels...)
	}
	for _, s := range sets {
		if err := s.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	start(t, &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}, exporter,
		"--web.listen-address="+address, "--collector.disable-defaults", "--collector.textfile", "--collector.textfile.directory="+dir)
	var text string
	await(t, "answer of node_exporter", func() bool {
		response, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		text = string(body)
		return err == nil && response.StatusCode == http.StatusOK
	})
	if !strings.Contains(text, "\nnode_textfile_scrape_error 0\n") {
		t.Errorf("a scrape error:\n%s", text)
	}
	for _, f := range metrics.Families() {
		if !strings.Contains(text, "# HELP "+f.Name+" "+f.Help+"\n") || !strings.Contains(text, "\n"+f.Name) {
			t.Errorf("%s is missing", f.Name)
		}
	}
}

const eximConfig = `primary_hostname = mail.example.com
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = %[1]s/spool
log_file_path = %[1]s/log-%%s
qualify_domain = example.com
queue_only = true
keep_environment =
host_lookup =
tls_advertise_hosts =
acl_smtp_rcpt = accept
acl_smtp_data = accept
begin routers
all:
  driver = accept
  transport = none
begin transports
none:
  driver = appendfile
  file = /dev/null
`

// Exim, Debian's own mail server, takes a message and queues it as it was sent.
func TestExim(t *testing.T) {
	testhost.NeedRoot(t, "to drop it, as Exim does")
	root := debian(t, "usr/sbin/exim4", "exim4-daemon-light", "libidn12")
	dir := t.TempDir()
	for path := dir; path != os.TempDir(); path = filepath.Dir(path) { // Exim drops root
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o001 == 0 {
			if err := os.Chmod(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const uid = 64990
	users, groups := read(t, "/etc/passwd"), read(t, "/etc/group")
	passwd := write("passwd", users+fmt.Sprintf("\nDebian-exim:x:%d:%d::/:/bin/false\n", uid, uid))
	group := write("group", groups+fmt.Sprintf("\nDebian-exim:x:%d:\n", uid))
	if err := os.Mkdir(filepath.Join(dir, "spool"), 0o750); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "spool"} {
		if err := os.Chown(filepath.Join(dir, name), uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	config := write("exim.conf", fmt.Sprintf(eximConfig, dir))
	port := freePort(t)
	// Its user is known in its own mount namespace only.
	script := `mount --bind "$1" /etc/passwd && mount --bind "$2" /etc/group && LD_LIBRARY_PATH="$3" exec "$4" -C "$5" -bdf -oX "127.0.0.1.$6" -oP "$7/pid"`
	start(t, &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}, "unshare", "-m", "sh", "-c", script, "sh",
		passwd, group, filepath.Join(root, "usr/lib/x86_64-linux-gnu"), filepath.Join(root, "usr/sbin/exim4"), config, fmt.Sprint(port), dir)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	await(t, "answer of Exim", func() bool {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	template, err := deliver.ReadTemplate("")
	if err != nil {
		t.Fatal(err)
	}
	d := &deliver.Deliverer{Template: template, Timeout: 10 * time.Second, Log: zerolog.Nop(), Now: time.Now}
	channel := notify.Channel{ID: "x", Name: "smtp (line 1)", URL: "smtp://" + address + "/?from=node@example.com&to=owner@example.com&auth=None&encryption=None&usestarttls=No"}
	message := &notify.Message{Kind: notify.KindEvent, Notice: notify.Notice{Level: notify.Critical, Time: time.Now(), Node: "b", Title: "b took over", Text: []string{"all of it"}, Hint: "look at a"}}
	if err := d.Send(t.Context(), channel, message); err != nil {
		t.Fatal(err)
	}
	var queued string
	await(t, "message in Exim's queue", func() bool {
		queued = ""
		files, _ := filepath.Glob(filepath.Join(dir, "spool", "input", "*-[HD]"))
		for _, file := range files {
			queued += read(t, file)
		}
		return len(files) == 2
	})
	for _, want := range []string{"Subject: [CRITICAL] b: b took over", "all of it", "What to do: look at a", "owner@example.com"} {
		if !strings.Contains(queued, want) {
			t.Errorf("no %q in\n%s", want, queued)
		}
	}
}
