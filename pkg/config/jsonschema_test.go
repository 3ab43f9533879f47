package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// schemaFile is the keys as a JSON schema, for editors; made by this test.
const schemaFile = "../../packaging/schema/understudy.schema.json"

func TestJSONSchema(t *testing.T) {
	want := schemaText(t)
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s is not what the keys say; write it with: go test ./pkg/config -run 'TestPage|TestJSONSchema' -update", schemaFile)
	}
}

// What the file may say of durations and sizes, as far as a pattern can tell.
const (
	durationPattern = `^([0-9]+w)?([0-9]+d)?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))*$`
	sizePattern     = `^0$|^[0-9]+(\.[0-9]+)? ?([bB]|[kKmMgGtTpPeE][iI]?[bB]?)(/s)?$`
)

// needed are the keys that must be there, under the path of what they belong to.
func needed(path string) []string {
	return map[string][]string{"": {"nodes"}, "nodes": {"name"}, "replication.datasets": {"name"}, "lag.datasets": {"name"}}[path]
}

func schemaText(t *testing.T) []byte {
	t.Helper()
	w := schemaWriter{pageWriter{docs: docComments(t)}}
	root := w.object(schema(), reflect.TypeFor[Config]())
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "Understudy"
	root["description"] = "One file for all nodes and all programs: " + DefaultFile + "."
	root["type"] = "object"
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// schemaWriter says in JSON schema what pageWriter says in Markdown.
type schemaWriter struct{ pageWriter }

// object is the schema of a mapping with the keys below k. One with nothing below
// it counts as empty.
func (w schemaWriter) object(k key, typ reflect.Type) map[string]any {
	properties := map[string]any{}
	for _, s := range k.sub {
		properties[s.name] = w.property(s, typ)
	}
	o := map[string]any{"type": []string{"object", "null"}, "additionalProperties": false, "properties": properties}
	if names := needed(k.path); names != nil {
		o["required"] = names
		o["type"] = "object"
	}
	return o
}

func (w schemaWriter) property(k key, in reflect.Type) map[string]any {
	var s map[string]any
	switch {
	case k.elements():
		s = map[string]any{"type": []string{"array", "null"}, "items": w.object(k, k.typ.Elem())}
		if k.path == "nodes" {
			s["type"], s["minItems"] = "array", 1
		}
	case k.typ.Kind() == reflect.Struct:
		s = w.object(k, k.typ)
	case k.typ.Kind() == reflect.Slice:
		s = map[string]any{"type": []string{"array", "null"}, "items": map[string]any{"type": "string"}}
	default:
		s = scalarSchema(k)
	}
	doc := w.doc(in, k)
	if k.inherits != "" {
		doc += " Default: that of " + k.inherits + "."
	}
	s["description"] = strings.TrimSpace(doc)
	return s
}

func scalarSchema(k key) map[string]any {
	s := map[string]any{"type": "string"}
	switch {
	case len(k.oneOf) > 0:
		s["enum"] = k.oneOf
	case k.typ == durationType:
		s["pattern"], s["minLength"] = durationPattern, 1
	case k.typ == sizeType:
		s = map[string]any{"anyOf": []any{map[string]any{"type": "string", "pattern": sizePattern}, map[string]any{"const": 0}}}
	case k.typ.Kind() == reflect.Bool:
		s["type"] = "boolean"
	case k.typ.Kind() == reflect.Int:
		s["type"], s["minimum"] = "integer", 0
	}
	if !k.hasDefault {
		return s
	}
	s["default"] = k.def
	if value := k.defaultValue(); k.typ.Kind() == reflect.Bool || k.typ.Kind() == reflect.Int {
		s["default"] = value
	}
	return s
}

// compiled is the schema as it lies in the tree.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// judged is what the schema says of a configuration's text.
func judged(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	var document any
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(value)
}

func TestJSONSchemaTakesWhatIsRight(t *testing.T) {
	s := compiled(t)
	files, err := filepath.Glob("../../packaging/examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, exampleFile, "testdata/full.yaml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Load(LoadOptions{File: file}); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if err := judged(t, s, string(text)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	for _, text := range []string{
		"nodes: [{name: a}]\nservices:\nssh: \nreplication: {datasets: , bandwidth: 0}\n",
		"nodes: [{name: a}]\nreplication: {bandwidth: 20MiB/s}\nlag: {critical: 1w2d, warning: 1h30m}\n",
	} {
		if err := judged(t, s, text); err != nil {
			t.Errorf("%s%v", text, err)
		}
	}
}

// The pages show parts of the file; those whose keys are all of it are judged,
// with a node.
func TestJSONSchemaTakesWhatThePagesShow(t *testing.T) {
	s, root, seen := compiled(t), schema(), 0
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^( *)```yaml\n(.*?)^ *```$")
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			shown := m[2]
			var document map[string]any
			if yaml.Unmarshal([]byte(shown), &document) != nil || len(document) == 0 {
				continue
			}
			ours := true
			for name := range document {
				_, known := root.find(name)
				ours = ours && known
			}
			if !ours {
				continue // of another program: Compose, Prometheus
			}
			if document["nodes"] == nil {
				shown = m[1] + "nodes: [{name: a}]\n" + shown
			}
			seen++
			if err := judged(t, s, shown); err != nil {
				t.Errorf("%s: %v in\n%s", page, err, shown)
			}
		}
	}
	if seen < 3 {
		t.Errorf("only %d examples were found", seen)
	}
}

func TestJSONSchemaRefusesWhatIsWrong(t *testing.T) {
	s := compiled(t)
	const node = "nodes: [{name: a, address: 10.0.0.1}]\n"
	for _, text := range []string{
		"{}", "nodes: []\n", "nodes: [{address: 10.0.0.1}]\n",
		node + "replicaton: {}\n", node + "ssh: {identityfile: /x}\n",
		node + "replication: {datasets: [{nane: tank}]}\n", node + "replication: {datasets: {tank: {}}}\n",
		node + "ssh: {connect_timeout: 30}\n", node + "lag: {warning: soon}\n", node + "lag: {warning: ''}\n",
		node + "replication: {bandwidth: 20}\n", node + "replication: {bandwidth: 20 potatoes}\n",
		node + "ssh: {port: many}\n", node + "replication: {parallel: -1}\n", node + "replication: {require_role: yes}\n",
		node + "replication: {snapshot: allways}\n", node + "replication: {prefix: }\n",
		node + "replication: {pre_snapshot: {command: sync}}\n", node + "interface: [eth0]\n", node + "ssh: root\n",
	} {
		if err := judged(t, s, text); err == nil {
			t.Errorf("taken: %s", text)
		}
	}
}

// An editor must not call wrong what Load takes.
func TestPatternsAreThoseOfTheValues(t *testing.T) {
	durations, sizes := regexp.MustCompile(durationPattern), regexp.MustCompile(sizePattern)
	for _, text := range []string{"30s", "5m", "1h30m", "2d", "1w", "1w2d3h", "1.5h", "500ms", "30", "0", "s", "1d1w", "-5m", "1 h", "soon"} {
		_, err := parseDuration(text)
		if matches := durations.MatchString(text); matches != (err == nil) {
			t.Errorf("%s: %v by the pattern, Load: %v", text, matches, err)
		}
	}
	for _, text := range []string{"0", "512KiB", "20MB", "20 MiB", "1.5GiB", "20MiB/s", "5b", "7k", "20", "-1MiB", "1QiB", "MiB", "20MiBs"} {
		_, err := parseSize(text)
		if matches := sizes.MatchString(text); matches != (err == nil) {
			t.Errorf("%s: %v by the pattern, Load: %v", text, matches, err)
		}
	}
}
