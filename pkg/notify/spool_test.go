package notify

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/state"
)

func openSpool(t *testing.T) *Spool {
	t.Helper()
	dir, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{Notify: settings}
	if Open(cfg, dir) != nil {
		t.Error("a spool without a file of channels")
	}
	cfg.Notify.URLsFile = "/somewhere"
	return Open(cfg, dir)
}

func sorted(t *testing.T, s *Spool, now time.Time) []*Message {
	t.Helper()
	if _, err := s.Sort(now); err != nil {
		t.Fatal(err)
	}
	messages, err := s.Outbox(now)
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

func TestNoSpoolTakesAnything(t *testing.T) {
	var s *Spool
	if err := s.Put(Notice{}); err != nil || s.Pending() || s.Told() != nil || s.Health() != nil {
		t.Error("a nil spool does something")
	}
}

// Of each condition only the newest notice waits for the sender; of events all do.
func TestSpoolStaysSmall(t *testing.T) {
	s := openSpool(t)
	for i := range 1000 {
		if err := s.Put(Notice{Key: "standby/b", From: "x", Level: Warning, Time: noon.Add(time.Duration(i) * time.Second), Title: "t"}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		if err := s.Put(Notice{From: "x", Level: Info, Time: noon.Add(time.Duration(i)), Title: "event"}); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(filepath.Join(s.path, newFolder))
	if err != nil || len(files) != 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	if info, err := os.Stat(filepath.Join(s.path, newFolder)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	now := noon.Add(time.Hour)
	if got := sorted(t, s, now); len(got) != 6 || got[0].Title != "event" || got[5].Kind != KindProblem {
		t.Errorf("%d messages: %+v", len(got), got)
	}
	if got := sorted(t, s, now); len(got) != 6 {
		t.Errorf("told twice: %d messages", len(got))
	}
	if s.Told()["standby/b"] != "warning" {
		t.Errorf("told: %v", s.Told())
	}
}

func TestOutboxIsBoundedAndKnowsItsChannels(t *testing.T) {
	s := openSpool(t)
	for i := range 150 {
		if err := s.Put(Notice{From: "x", Level: Info, Time: noon.Add(time.Duration(i) * time.Second), Title: "event"}); err != nil {
			t.Fatal(err)
		}
	}
	messages := sorted(t, s, noon.Add(time.Minute))
	if len(messages) != maxMessages || messages[0].Dropped != 50 {
		t.Fatalf("%d messages, %d dropped", len(messages), messages[0].Dropped)
	}
	if err := s.Sent(messages[0], "one", []string{"one", "two"}); err != nil {
		t.Fatal(err)
	}
	again, err := s.Outbox(noon)
	if err != nil || len(again) != maxMessages || len(again[0].Done) != 1 {
		t.Fatalf("%d, %v, %v", len(again), again[0].Done, err)
	}
	if err := s.Sent(again[0], "two", []string{"one", "two"}); err != nil {
		t.Fatal(err)
	}
	late, err := s.Outbox(noon.Add(time.Hour))
	if err != nil || len(late) != maxMessages-1 || !late[0].Late || !late[0].Time.Equal(noon.Add(51*time.Second)) {
		t.Errorf("%d, %v", len(late), err)
	}
	if gone, err := s.Outbox(noon.Add(keepFor + time.Hour)); err != nil || len(gone) > 0 {
		t.Errorf("%d too old, %v", len(gone), err)
	}
}

func TestGarbageIsPassedOver(t *testing.T) {
	s := openSpool(t)
	if err := s.Put(Notice{From: "x", Level: Info, Time: noon, Title: "event"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"new/e-1.json", "told.json", "channels.json"} {
		if err := os.WriteFile(filepath.Join(s.path, name), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := sorted(t, s, noon); len(got) != 1 {
		t.Errorf("%d messages", len(got))
	}
	if !s.Due("x", noon) {
		t.Error("not due")
	}
}

func TestAFailingChannelIsLeftAlone(t *testing.T) {
	s := openSpool(t)
	if err := os.MkdirAll(s.path, 0o700); err != nil {
		t.Fatal(err)
	}
	c := Channel{ID: "c", Name: "ntfy (line 1)"}
	now := noon
	for _, pause := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		if !s.Due("c", now) {
			t.Fatal("not due")
		}
		if err := s.Tried(c, now, "down"); err != nil {
			t.Fatal(err)
		}
		if s.Due("c", now.Add(pause-time.Second)) || !s.Due("c", now.Add(pause)) {
			t.Errorf("no pause of %s", pause)
		}
		now = now.Add(pause)
	}
	if err := s.Tried(c, now, ""); err != nil || !s.Due("c", now) {
		t.Errorf("%v", err)
	}
}

// Health names the failing channels with their errors, times and queues. It contains no
// secrets, and no channels that were removed from the file.
func TestHealth(t *testing.T) {
	s := openSpool(t)
	s.cfg.URLsFile = secretFile(t, 0o600, "ntfy://example.com/sEcReT\nhttps://example.com/sEcReT\n")
	channels, _, err := Channels(s.cfg.URLsFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(Notice{From: "x", Level: Critical, Time: noon, Title: "it burns"}); err != nil {
		t.Fatal(err)
	}
	messages := sorted(t, s, noon)
	for i := range 2 {
		if err := s.Tried(channels[0], noon.Add(time.Duration(i)*time.Minute), "ntfy (line 1): 403 Forbidden"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Tried(Channel{ID: "gone", Name: "gotify (line 3)"}, noon, "gotify (line 3): no"); err != nil {
		t.Fatal(err)
	}
	all := []string{channels[0].ID, channels[1].ID}
	if err := errors.Join(s.Sent(messages[0], all[1], all), s.Tried(channels[1], noon, "")); err != nil {
		t.Fatal(err)
	}
	want := Health{Channels: 2, Waiting: 1, Oldest: noon, Failing: []Failing{{Channel: "ntfy (line 1)", Error: "403 Forbidden", Since: noon, Times: 2, Waiting: 1}}}
	if got := s.Health(); !reflect.DeepEqual(*got, want) {
		t.Errorf("%+v, want %+v", *got, want)
	}
	later := noon.Add(time.Hour)
	if err := errors.Join(s.Sent(messages[0], all[0], all), s.Tried(channels[0], later, "")); err != nil {
		t.Fatal(err)
	}
	if got := s.Health(); !reflect.DeepEqual(*got, Health{Channels: 2}) {
		t.Errorf("%+v, want nothing wrong", *got)
	}
	if err := s.Tried(channels[0], later, "down"); err != nil {
		t.Fatal(err)
	}
	if got := s.Health(); len(got.Failing) != 1 || got.Failing[0].Since != later || got.Failing[0].LastSuccess != later || got.Failing[0].Times != 1 {
		t.Errorf("%+v: not failing anew", *got)
	}
	if err := os.Chmod(s.cfg.URLsFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := s.Health(); !strings.Contains(got.Problem, "other users can access it") || got.Hint == "" {
		t.Errorf("%+v: the problem of the file is not reported", *got)
	}
}

func secretFile(t *testing.T, mode os.FileMode, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestChannels(t *testing.T) {
	got, _, err := Channels(secretFile(t, 0o600, "# mine\n\nhttps://discord.com/api/webhooks/1234/AbC-d_E\nntfy://ntfy.sh/topic\nhttps://example.com/hook?x=y\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Channel{{Name: "discord (line 3)", URL: "discord://AbC-d_E@1234"}, {Name: "ntfy (line 4)", URL: "ntfy://ntfy.sh/topic"}, {Name: "generic (line 5)", URL: "generic+https://example.com/hook?x=y"}}
	for i, w := range want {
		if got[i].Name != w.Name || got[i].URL != w.URL || got[i].ID == "" || strings.Contains(got[i].ID, "AbC") {
			t.Errorf("%+v, want %+v", got[i], w)
		}
	}
	for text, mode := range map[string]os.FileMode{"ntfy://ntfy.sh/sEcReT": 0o644, "just sEcReT": 0o600, "mailto:sEcReT@example.com": 0o600} {
		_, _, err := Channels(secretFile(t, mode, text))
		if err == nil || strings.Contains(err.Error(), "sEcReT") {
			t.Errorf("%s: %v", text, err)
		} else if e, ok := err.(*SecretError); !ok || e.ExitCode() != 78 || e.Hint() == "" {
			t.Errorf("%T %v", err, err)
		}
	}
	if _, _, err := Channels("/nowhere/urls"); err == nil {
		t.Error("a missing file is accepted")
	}
}

// A bad line does not stop the others, and is named without its content.
func TestBadLine(t *testing.T) {
	s := openSpool(t)
	s.cfg.URLsFile = secretFile(t, 0o600, "ntfy://example.com/one\njust sEcReT\nntfy://example.com/two\n")
	channels, bad, err := Channels(s.cfg.URLsFile)
	if err != nil || len(channels) != 2 || len(bad) != 1 || bad[0].Line != 2 || strings.Contains(bad[0].Error(), "sEcReT") {
		t.Fatalf("%+v, %v, %v", channels, bad, err)
	}
	if channels[1].Name != "ntfy (line 3)" {
		t.Errorf("%+v", channels)
	}
	h := s.Health()
	want := Failing{Channel: "line 2", Error: "not a URL such as ntfy://ntfy.sh/topic"}
	if h.Problem != "" || h.Channels != 3 || len(h.Failing) != 1 || h.Failing[0] != want {
		t.Errorf("%+v", *h)
	}
	// Without a valid line, no notification can be sent.
	s.cfg.URLsFile = secretFile(t, 0o600, "just sEcReT\n")
	if h := s.Health(); !strings.Contains(h.Problem, "line 1") || h.Hint == "" {
		t.Errorf("%+v", *h)
	}
}

func TestRedact(t *testing.T) {
	for _, test := range []struct{ url, text string }{
		{"discord://sEcReT-1@987654321", "Post \"https://discord.com/api/webhooks/987654321/sEcReT-1\": EOF"},
		{"telegram://110201543:sEcReT_2@telegram?chats=12345678", "failed: https://api.telegram.org/bot110201543:sEcReT_2/sendMessage for 12345678"},
		{"smtp://me:sEcReT%213@mail.example.com:25/?from=a@example.com&to=b@example.com", "auth me sEcReT!3 (sEcReT%213) failed at mail.example.com"},
		{"gotify://push.example.com/sEcReT4", "locating \"gotify://push.example.com/sEcReT4\": no"},
		{"generic+https://example.com/hook/sEcReT5?key=sEcReT6", "Post https://example.com/hook/sEcReT5?key=sEcReT6: refused"},
		{"slack://hook:WNA3PBYV6-F20DUQND3RQ-sEcReT7@webhook", "https://hooks.slack.com/services/WNA3PBYV6/F20DUQND3RQ/sEcReT7 bad"},
	} {
		got := Redact(test.text, test.url)
		if strings.Contains(got, "sEcReT") || strings.Contains(got, "987654321") || strings.Contains(got, "110201543") {
			t.Errorf("%s", got)
		}
		if !strings.Contains(got, "example.com") && strings.Contains(test.url, "example.com") {
			t.Errorf("%s does not say what failed", got)
		}
	}
}
