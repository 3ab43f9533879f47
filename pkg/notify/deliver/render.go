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

// standard is the built-in template. Its first line is the subject if a channel has
// one.
const standard = `{{mark .}} {{.Node}}: {{.Title}}
{{range .Text}}{{.}}
{{end}}{{if eq .Kind "reminder"}}It has lasted {{lasted .}}.
{{end}}{{if and .Hint (ne .Kind "recovery")}}What to do: {{.Hint}}
{{end}}{{if .Dropped}}{{.Dropped}} older messages could not be sent and were dropped.
{{end}}{{clock .Time}}{{if .Late}} (sent late){{end}}, node {{.Node}}{{if .Role}}, {{.Role}}{{end}}{{if .Term}}, term {{.Term}}{{end}}
`

// marks holds the words before a message's title.
var marks = map[notify.Kind]string{
	notify.KindEvent: "", notify.KindProblem: "", notify.KindWorse: "WORSE, ", notify.KindReminder: "STILL ",
	notify.KindFlapping: "FLAPPING, ", notify.KindRecovery: "RECOVERED", notify.KindTest: "TEST",
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

// Template formats messages.
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
	return "correct it, or remove notify.template_file; docs/notifications.md shows an example"
}

// ReadTemplate reads a template and tests it. Without a file it returns the built-in
// template.
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

// maxBody is the greatest length of a message, in bytes: Discord's limit.
const maxBody = 1800

// render returns the first line and the other lines.
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
