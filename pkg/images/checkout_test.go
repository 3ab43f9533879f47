package images

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/internal/testhost"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/run"
)

// repositories are an upstream, somebody's clone of it that pushes, and the
// checkout under test.
type repositories struct{ upstream, work, checkout string }

func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"}, args...)...)
	cmd.Env = append(run.Environ("GIT_"), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func makeRepositories(t *testing.T) repositories {
	t.Helper()
	dir := t.TempDir()
	r := repositories{filepath.Join(dir, "upstream.git"), filepath.Join(dir, "work"), filepath.Join(dir, "checkout")}
	gitIn(t, dir, "init", "--bare", "--quiet", r.upstream)
	gitIn(t, dir, "clone", "--quiet", r.upstream, r.work)
	r.push(t, "app/compose.yaml", "one")
	gitIn(t, dir, "clone", "--quiet", r.upstream, r.checkout)
	return r
}

// push commits a file upstream.
func (r repositories) push(t *testing.T, name, text string) {
	t.Helper()
	put(t, filepath.Join(r.work, name), text)
	gitIn(t, r.work, "add", ".")
	gitIn(t, r.work, "commit", "--quiet", "-m", "set "+name+" to "+text)
	gitIn(t, r.work, "push", "--quiet", "--force", "origin", "HEAD:main")
}

var gitDefaults = config.Images{FetchTimeout: 20 * time.Second}

func (r repositories) update(t *testing.T, cfg config.Images) (*Checkout, error) {
	t.Helper()
	return updateCheckout(t.Context(), run.New(zerolog.Nop()), r.checkout, cfg, false)
}

func (r repositories) holds(t *testing.T, text string) {
	t.Helper()
	if data, err := os.ReadFile(filepath.Join(r.checkout, "app/compose.yaml")); err != nil || string(data) != text {
		t.Errorf("the file holds %q instead of %q, %v", data, text, err)
	}
}

func TestCheckoutFastForwards(t *testing.T) {
	r := makeRepositories(t)
	// Hooks of the checkout, in whatever folder, are nobody's business here.
	for _, hook := range []string{"post-merge", "post-checkout", "reference-transaction", "pre-merge-commit"} {
		put(t, filepath.Join(r.checkout, ".git/hooks", hook), "#!/bin/sh\ntouch "+r.checkout+"/hook-ran\n")
		put(t, filepath.Join(r.checkout, "hooks", hook), "#!/bin/sh\ntouch "+r.checkout+"/hook-ran\n")
	}
	gitIn(t, r.checkout, "config", "core.hooksPath", r.checkout+"/hooks")
	gitIn(t, r.checkout, "config", "core.fsmonitor", r.checkout+"/hooks/post-merge")
	put(t, filepath.Join(r.checkout, "untracked"), "mine")

	if c, err := r.update(t, gitDefaults); err != nil || c.From != c.To || !c.Current() {
		t.Errorf("nothing new: %+v, %v", c, err)
	}
	r.push(t, "app/compose.yaml", "two")
	r.push(t, "new ä", "x")
	c, err := r.update(t, config.Images{FetchTimeout: 20 * time.Second, Branch: "main"})
	if err != nil || len(c.Commits) != 2 || !slices.Equal(c.Changed, []string{"M\tapp/compose.yaml", "A\tnew ä"}) || !strings.HasSuffix(c.Commits[1], "set app/compose.yaml to two") {
		t.Errorf("%+v, %v", c, err)
	}
	r.holds(t, "two")
	if _, err := os.Stat(filepath.Join(r.checkout, "hook-ran")); err == nil {
		t.Error("a hook of the checkout ran")
	}
}

// A checkout that somebody works in is left alone, with the files named.
func TestCheckoutIsLeftAlone(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, r repositories)
		why    string
		files  []string
		holds  string
	}{
		{"dirty", func(t *testing.T, r repositories) {
			put(t, filepath.Join(r.checkout, "app/compose.yaml"), "mine")
			r.push(t, "app/compose.yaml", "two")
		}, "changed here and not committed", []string{"app/compose.yaml"}, "mine"},
		{"diverged", func(t *testing.T, r repositories) {
			put(t, filepath.Join(r.checkout, "local file"), "mine")
			gitIn(t, r.checkout, "add", ".")
			gitIn(t, r.checkout, "commit", "--quiet", "-m", "mine")
			r.push(t, "app/compose.yaml", "two")
		}, "commits that its remote has not", []string{"local file"}, "one"},
		{"rewritten", func(t *testing.T, r repositories) {
			gitIn(t, r.work, "checkout", "--quiet", "--orphan", "other")
			r.push(t, "app/compose.yaml", "two")
		}, "was rewritten at the remote", nil, "one"},
		{"other branch", func(t *testing.T, r repositories) {
			gitIn(t, r.checkout, "checkout", "--quiet", "-b", "trial")
		}, "branch trial is checked out, not main", nil, "one"},
		{"no branch", func(t *testing.T, r repositories) {
			gitIn(t, r.checkout, "checkout", "--quiet", "--detach")
		}, "no branch is checked out", nil, "one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := makeRepositories(t)
			c.change(t, r)
			cfg := gitDefaults
			cfg.Branch = "main"
			for range 2 { // the second time, the rewritten history is known
				got, err := r.update(t, cfg)
				if err == nil || got.Current() || c.name != "rewritten" && !strings.Contains(got.Left, c.why) || c.files != nil && !slices.Equal(got.Files, c.files) {
					t.Errorf("%+v, %v", got, err)
				}
				if c.name == "rewritten" && !strings.Contains(got.Left, c.why) && !strings.Contains(got.Left, "commits that its remote has not") {
					t.Errorf("%+v", got)
				}
			}
			r.holds(t, c.holds)
		})
	}
	r := makeRepositories(t)
	put(t, filepath.Join(r.checkout, "app/compose.yaml"), "mine")
	if c, err := r.update(t, gitDefaults); err != nil || !c.Current() || !slices.Equal(c.Dirty, []string{"app/compose.yaml"}) {
		t.Errorf("dirty, with nothing new: %+v, %v", c, err)
	}
	gitIn(t, r.checkout, "commit", "--quiet", "-am", "mine")
	if c, err := r.update(t, gitDefaults); err != nil || !c.Current() {
		t.Errorf("ahead: %+v, %v", c, err)
	}
}

func TestCheckoutWithoutSignature(t *testing.T) {
	r := makeRepositories(t)
	r.push(t, "app/compose.yaml", "two")
	cfg := gitDefaults
	cfg.VerifyCommits = true
	if c, err := r.update(t, cfg); err == nil || !strings.Contains(c.Left, "no signature that git accepts") {
		t.Errorf("%+v, %v", c, err)
	}
	r.holds(t, "one")
}

func TestCheckoutWithSignature(t *testing.T) {
	r := makeRepositories(t)
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	put(t, key+".allowed", "me@example.org "+string(public))
	for _, dir := range []string{r.work, r.checkout} {
		gitIn(t, dir, "config", "gpg.format", "ssh")
		gitIn(t, dir, "config", "user.signingKey", key)
		gitIn(t, dir, "config", "gpg.ssh.allowedSignersFile", key+".allowed")
	}
	gitIn(t, r.work, "config", "commit.gpgSign", "true")
	r.push(t, "app/compose.yaml", "two")
	cfg := gitDefaults
	cfg.VerifyCommits = true
	if c, err := r.update(t, cfg); err != nil {
		t.Errorf("%+v, %v", c, err)
	}
	r.holds(t, "two")
}

// A server that accepts and says nothing ends with the deadline.
func TestCheckoutFetchHangs(t *testing.T) {
	r := makeRepositories(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	gitIn(t, r.checkout, "remote", "set-url", "origin", "git://"+listener.Addr().String()+"/x.git")
	began := time.Now()
	c, err := r.update(t, config.Images{FetchTimeout: 300 * time.Millisecond})
	if err == nil || !strings.Contains(c.Error, "git fetch") || !strings.Contains(c.Error, "no end after") || time.Since(began) > 10*time.Second {
		t.Errorf("%+v, %v, after %s", c, err, time.Since(began))
	}
	r.holds(t, "one")
}

func TestCheckoutThatIsNone(t *testing.T) {
	c, err := updateCheckout(t.Context(), run.New(zerolog.Nop()), t.TempDir(), gitDefaults, false)
	if err != nil || c.Skipped != "it is no git checkout" {
		t.Errorf("%+v, %v", c, err)
	}
	r := makeRepositories(t)
	put(t, filepath.Join(r.checkout, ".git/index.lock"), "")
	r.push(t, "app/compose.yaml", "two")
	if c, err := r.update(t, gitDefaults); err == nil || !strings.Contains(c.Error, "index.lock") {
		t.Errorf("with a lock left behind: %+v, %v", c, err)
	}
	r.holds(t, "one")
}

// Root does as the checkout's owner what is done in it.
func TestCheckoutOfAnotherUser(t *testing.T) {
	testhost.NeedRoot(t, "to be two users")
	r := makeRepositories(t)
	r.push(t, "app/compose.yaml", "two")
	base := filepath.Dir(r.checkout)
	for dir := base; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const nobody = 65534
	for _, dir := range []string{r.upstream, r.checkout} {
		err := filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			return os.Chown(path, nobody, nobody)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := r.update(t, gitDefaults)
	if err != nil || len(c.Changed) != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	r.holds(t, "two")
	out, err := exec.Command("find", r.checkout, "!", "-uid", "65534").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("not the owner's: %s%v", out, err)
	}
}
