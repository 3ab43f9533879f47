package deliver

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/notify"
	"github.com/understudy-ha/understudy/pkg/state"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// services are the channels as people write them down, and where each message
// is to arrive.
func services(t *testing.T) []struct{ url, host, path string } {
	t.Helper()
	u, err := url.Parse(world.plain.URL)
	if err != nil {
		t.Fatal(err)
	}
	return []struct{ url, host, path string }{
		{"https://discord.com/api/webhooks/123456/sEcReT-discord", "discord.com", "/api/webhooks/123456/sEcReT-discord"},
		{"slack://hook:WNA3PBYV6-F20DUQND3RQ-sEcReTslacksEcReTslack24@webhook", "hooks.slack.com", "/services/WNA3PBYV6/F20DUQND3RQ/sEcReTslacksEcReTslack24"},
		{"telegram://110201543:AAHsEcReTtelegramfSeofSAs0K5PALDsaw@telegram?chats=4711", "api.telegram.org", "/bot110201543:AAHsEcReTtelegramfSeofSAs0K5PALDsaw/sendMessage"},
		{"ntfy://" + u.Host + "/sEcReTtopic?scheme=http", u.Host, ""},
		{"gotify://" + u.Host + "/AsEcReTgotify12?disabletls=yes", u.Host, "/message"},
		{"http://" + u.Host + "/hook/sEcReThook", u.Host, "/hook/sEcReThook"},
		{"smtp://" + world.smtp.Addr().String() + "/?from=node@example.com&to=owner@example.com&encryption=None&auth=None&usestarttls=No", "smtp", ""},
	}
}

func deliverer(t *testing.T, urls ...string) (*Deliverer, *notify.Spool, *state.Dir) {
	t.Helper()
	root := t.TempDir()
	file := filepath.Join(root, "urls")
	if err := os.WriteFile(file, []byte(strings.Join(urls, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	dir, err := state.Open(filepath.Join(root, "state"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{Notify: config.Notify{URLsFile: file, Timeout: time.Second, Repeat: time.Hour}}
	d, err := New(cfg, zerolog.Nop(), func() time.Time { return noon })
	if err != nil {
		t.Fatal(err)
	}
	return d, notify.Open(cfg, dir), dir
}

func event(at time.Time) notify.Notice {
	return notify.Notice{From: "failover-notify", Level: notify.Critical, Time: at, Node: "nodeb", Role: "active", Term: 7,
		Title: "nodeb took over", Text: []string{"because of <this> & that"}, Hint: "look at nodea"}
}

func TestEachServiceGetsTheWholeMessage(t *testing.T) {
	for _, s := range services(t) {
		t.Run(s.host+s.path, func(t *testing.T) {
			world.set("")
			d, spool, dir := deliverer(t, s.url)
			if err := spool.Put(event(noon)); err != nil {
				t.Fatal(err)
			}
			outcomes, err := d.Pass(t.Context(), spool, dir)
			if err != nil || outcomes[0].Sent != 1 {
				t.Fatalf("%+v, %v", outcomes, err)
			}
			got := world.messages()
			if len(got) != 1 || got[0].host != s.host || s.path != "" && got[0].path != s.path {
				t.Fatalf("%+v", got)
			}
			for _, want := range []string{"[CRITICAL] nodeb: nodeb took over", "because of", "What to do: look at nodea", "term 7"} {
				if !strings.Contains(got[0].body, want) {
					t.Errorf("no %q in\n%s", want, got[0].body)
				}
			}
			if again, err := d.Pass(t.Context(), spool, dir); err != nil || again[0].Sent != 0 || len(world.messages()) != 1 {
				t.Errorf("sent twice: %+v, %v", again, err)
			}
		})
	}
}

// A bad line keeps no message from the good channels, and none waits for it.
func TestBadLineAmongChannels(t *testing.T) {
	world.set("")
	good := services(t)[5].url
	d, spool, dir := deliverer(t, "just sEcReT", good)
	if err := spool.Put(event(noon)); err != nil {
		t.Fatal(err)
	}
	outcomes, err := d.Pass(t.Context(), spool, dir)
	if err != nil || len(outcomes) != 1 || outcomes[0].Sent != 1 || len(world.messages()) != 1 || len(d.Bad) != 1 {
		t.Fatalf("%+v, %v, bad %v", outcomes, err, d.Bad)
	}
	if h := spool.Health(); h.Waiting != 0 || len(h.Failing) != 1 || h.Failing[0].Channel != "line 1" {
		t.Errorf("%+v", *h)
	}
}

// A service that fails, hangs or leads elsewhere: its error holds no secret, the
// message stays, and is sent later with its own time.
func TestFailuresAreKeptAndSaidWithoutSecrets(t *testing.T) {
	for _, mode := range []string{"fail", "hang", "cut"} {
		for _, s := range services(t) {
			t.Run(mode+" "+s.host+s.path, func(t *testing.T) {
				world.set(mode)
				d, spool, dir := deliverer(t, s.url)
				d.Timeout = 300 * time.Millisecond
				if err := spool.Put(event(noon)); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				_, err := d.Pass(t.Context(), spool, dir)
				if err == nil {
					t.Fatal("no error")
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("took %s", took)
				}
				if strings.Contains(err.Error(), "sEcReT") || strings.Contains(err.Error(), "110201543") {
					t.Errorf("a secret in: %v", err)
				}
				noSecretIn(t, dir.Path())
				world.set("")
				d.Timeout = 5 * time.Second
				d.Now = func() time.Time { return noon.Add(30 * time.Second) }
				if o, err := d.Pass(t.Context(), spool, dir); err != nil || o[0].Sent != 0 {
					t.Errorf("tried again at once: %+v, %v", o, err)
				}
				d.Now = func() time.Time { return noon.Add(2 * time.Hour) }
				if o, err := d.Pass(t.Context(), spool, dir); err != nil || o[0].Sent != 1 {
					t.Fatalf("%+v, %v", o, err)
				}
				// A call that was abandoned may still get through, which in the
				// real program ends with its process.
				late := slices.ContainsFunc(world.messages(), func(r received) bool {
					return strings.Contains(r.body, "(sent late)") && strings.Contains(r.body, noon.Local().Format("2006-01-02 15:04:05"))
				})
				if !late {
					t.Errorf("not with its own time: %v", world.messages())
				}
			})
		}
	}
}

func noSecretIn(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), "sEcReT") {
			t.Errorf("a secret in %s: %s", path, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRedirectIsFollowed(t *testing.T) {
	world.set("redirect")
	d, spool, dir := deliverer(t, world.plain.URL+"/hook/sEcReThook")
	if err := spool.Put(event(noon)); err != nil {
		t.Fatal(err)
	}
	if o, err := d.Pass(t.Context(), spool, dir); err != nil || o[0].Sent != 1 {
		t.Fatalf("%+v, %v", o, err)
	}
	if got := world.messages(); len(got) != 1 || got[0].path != "/moved" || !strings.Contains(got[0].body, "took over") {
		t.Errorf("%+v", got)
	}
}

// One channel that hangs keeps nothing from another, nor the order of messages.
func TestChannelsDoNotWaitForEachOther(t *testing.T) {
	mail := services(t)[6].url
	d, spool, dir := deliverer(t, "http://127.0.0.1:1/refused", world.plain.URL+"/hangs", mail)
	d.Timeout = 500 * time.Millisecond
	world.set("hang-web")
	for i := range 3 {
		n := event(noon.Add(time.Duration(i) * time.Second))
		n.Title = []string{"first", "second", "third"}[i]
		if err := spool.Put(n); err != nil {
			t.Fatal(err)
		}
	}
	outcomes, err := d.Pass(t.Context(), spool, dir)
	if err == nil || outcomes[0].Sent != 0 || outcomes[2].Sent != 3 {
		t.Fatalf("%+v, %v", outcomes, err)
	}
	var titles []string
	for _, r := range world.messages() {
		if r.host == "smtp" {
			_, title, _ := strings.Cut(r.body, "Subject: ")
			titles = append(titles, strings.Fields(title)[2])
		}
	}
	if strings.Join(titles, " ") != "first second third" {
		t.Errorf("%v", titles)
	}
}

func TestTemplateOfTheOwners(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "template")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mine, err := ReadTemplate(write("{{.Level}} on {{.Node}}\nterm {{.Term}}: {{.Title}}; {{.Hint}}"))
	if err != nil {
		t.Fatal(err)
	}
	subject, body, err := mine.render(&notify.Message{Notice: event(noon)})
	if err != nil || subject != "critical on nodeb" || body != "term 7: nodeb took over; look at nodea" {
		t.Errorf("%q, %q, %v", subject, body, err)
	}
	for _, bad := range []string{"{{.Nonsense}}", "{{"} {
		if _, err := ReadTemplate(write(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	if _, err := ReadTemplate("/nowhere"); err == nil {
		t.Error("a missing file is accepted")
	}
}

func TestKindsOfMessages(t *testing.T) {
	standard, err := ReadTemplate("")
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[notify.Kind]string{
		notify.KindProblem: "[CRITICAL] ", notify.KindWorse: "[WORSE, CRITICAL] ", notify.KindReminder: "[STILL CRITICAL] ",
		notify.KindFlapping: "[FLAPPING, CRITICAL] ", notify.KindRecovery: "[RECOVERED] ", notify.KindTest: "[TEST] ",
	} {
		m := &notify.Message{Kind: kind, Notice: event(noon), Since: noon.Add(-26 * time.Hour), Dropped: 3}
		subject, body, err := standard.render(m)
		if err != nil || !strings.HasPrefix(subject, want+"nodeb: ") {
			t.Errorf("%s: %q, %v", kind, subject, err)
		}
		if kind == notify.KindReminder && !strings.Contains(body, "It has lasted 26h0m.") || !strings.Contains(body, "3 older messages") {
			t.Errorf("%s: %s", kind, body)
		}
	}
	long := event(noon)
	long.Text = []string{strings.Repeat("ä", 3000)}
	if _, body, err := standard.render(&notify.Message{Notice: long}); err != nil || len(body) > maxBody+4 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}
