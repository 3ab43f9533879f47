package deliver

import (
	"fmt"
	"os"
	"strings"
	"text/template"
	"time"

	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/notify"
	"github.com/understudy-ha/understudy/pkg/report"
)

// standard is the template that is built in. Its first line is the subject
// where a channel has one.
const standard = `{{mark .}} {{.Node}}: {{.Title}}
{{range .Text}}{{.}}
{{end}}{{if eq .Kind "reminder"}}It has been so for {{lasted .}}.
{{end}}{{if and .Hint (ne .Kind "recovery")}}What to do: {{.Hint}}
{{end}}{{if .Dropped}}{{.Dropped}} older messages could not be sent and are gone.
{{end}}{{clock .Time}}{{if .Late}} (sent late){{end}}, node {{.Node}}{{if .Role}}, {{.Role}}{{end}}{{if .Term}}, term {{.Term}}{{end}}
`

// marks are the words before a message's title.
var marks = map[notify.Kind]string{
	notify.KindEvent: "", notify.KindProblem: "", notify.KindWorse: "WORSE, ", notify.KindReminder: "STILL ",
	notify.KindFlapping: "COMES AND GOES, ", notify.KindRecovery: "OK AGAIN", notify.KindTest: "TEST",
}

func mark(m *notify.Message) string {
	word := marks[m.Kind]
	if m.Kind != notify.KindRecovery && m.Kind != notify.KindTest {
		word += strings.ToUpper(string(m.Level))
	}
	return "[" + word + "]"
}

func lasted(m *notify.Message) string { return report.Duration(m.Time.Sub(m.Since)) }

func clock(at time.Time) string { return at.Local().Format("2006-01-02 15:04:05 MST") }

// Template is how messages are written.
type Template struct{ t *template.Template }

// TemplateError is a template that can't be used.
type TemplateError struct {
	File string
	Err  error
}

func (e *TemplateError) Error() string { return fmt.Sprintf("template %s: %v", e.File, e.Err) }
func (e *TemplateError) Unwrap() error { return e.Err }

// ExitCode is 78, EX_CONFIG of sysexits.h.
func (e *TemplateError) ExitCode() int { return exit.Config }

// Hint says what to do next.
func (e *TemplateError) Hint() string {
	return "correct it, or take notify.template_file out; docs/notifications.md has the one that is built in"
}

// ReadTemplate reads a template and tries it; an empty name is the one that is
// built in.
func ReadTemplate(file string) (*Template, error) {
	text := standard
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, &TemplateError{file, err}
		}
		text = string(data)
	}
	t, err := template.New("message").Funcs(template.FuncMap{"mark": mark, "lasted": lasted, "clock": clock}).Parse(text)
	if err != nil {
		return nil, &TemplateError{file, err}
	}
	parsed := &Template{t}
	if _, _, err := parsed.render(&notify.Message{Kind: notify.KindTest}); err != nil {
		return nil, &TemplateError{file, err}
	}
	return parsed, nil
}

// maxBody is what a message may have: Discord takes no more.
const maxBody = 1800

// render returns the first line and the rest.
func (t *Template) render(m *notify.Message) (subject, body string, err error) {
	var b strings.Builder
	if err := t.t.Execute(&b, m); err != nil {
		return "", "", err
	}
	subject, body, _ = strings.Cut(strings.TrimSpace(b.String()), "\n")
	if len(body) > maxBody {
		body = strings.ToValidUTF8(body[:maxBody], "") + "…"
	}
	return subject, strings.TrimSpace(body), nil
}
