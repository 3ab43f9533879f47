package config

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// pageFile is the page of all keys, made by this test.
const pageFile = "../../docs/config.md"

// exampleFile is the example in the page.
const exampleFile = "testdata/example.yaml"

var update = flag.Bool("update", false, "write docs/config.md")

func TestPage(t *testing.T) {
	want := page(t)
	if *update {
		if err := os.WriteFile(pageFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("docs/config.md is not what the keys say; write it with: go test ./pkg/config -run TestPage -update")
	}
}

func TestPageExample(t *testing.T) {
	if _, err := Load(LoadOptions{File: exampleFile}); err != nil {
		t.Error(err)
	}
}

const pageHead = `# Configuration

One file serves all nodes and all programs: ` + "`" + DefaultFile + "`" + `, or the file that ` + "`--config`" + `
or ` + "`UNDERSTUDY_CONFIG`" + ` names. Two commands of every program help with it:

- ` + "`config check`" + ` names every error with its line and column, and the nearest valid key.
- ` + "`config show`" + ` prints every value in force and its source, with secrets masked. ` + "`-o json`" + ` prints it
  for programs.

Editors check the file, and explain and complete its keys, with the schema
` + "`/usr/share/understudy/schema/understudy.schema.json`" + `. Editors with yaml-language-server find it by this
line in the file:

` + "```yaml\n# yaml-language-server: $schema=/usr/share/understudy/schema/understudy.schema.json\n```" + `

The first of these sources counts: a flag of the command, the environment, the file, the default. The
variable of a key is ` + "`UNDERSTUDY_`" + ` and its path in capitals, with ` + "`_`" + ` for the dots:
` + "`UNDERSTUDY_REPLICATION_PARALLEL=4`" + `. Only the file can contain lists.

- An unknown or repeated key is an error.
- A **duration** needs a unit: ` + "`30s`, `5m`, `1h30m`, `2d`, `1w`" + `.
- A **size** needs a unit too: ` + "`512KiB`, `20MiB`" + ` (1024 each), ` + "`20MB`" + ` (1000 each); ` + "`/s`" + ` may follow.
- Booleans are true and false; yes and no are errors.
- Paths are absolute. A file that everybody may write to is refused.

**After a change**, on all nodes:

1. Run ` + "`failover-notify config check`" + `.
2. Run ` + "`systemctl restart understudy`" + `. The watcher reads the file when it starts; services do not stop. All
   other programs read the file at each run.
3. If you changed ` + "`nodes`, `virtual_ip`, `interface` or `keepalived`" + `, update keepalived, on the standby first:
   ` + "`failover-notify keepalived >/etc/keepalived/keepalived.conf`" + ` and ` + "`systemctl reload keepalived`" + `.

` + "`failover-notify doctor`" + ` names the keys that differ between the nodes.

`

// page writes the page from the schema and the doc comments of its structs.
func page(t *testing.T) []byte {
	t.Helper()
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	p := pageWriter{docs: docComments(t)}
	p.b.WriteString(pageHead)
	p.b.WriteString("```yaml\n" + string(example) + "```\n")
	p.table("", "", schema(), reflect.TypeFor[Config]())
	return p.b.Bytes()
}

type pageWriter struct {
	b    bytes.Buffer
	docs map[string]string // "Type" and "Type.Field" to their comments
}

// table writes the section of one struct, then those of the structs in it.
func (p *pageWriter) table(path, intro string, k key, typ reflect.Type) {
	if path != "" {
		fmt.Fprintf(&p.b, "\n## %s\n\n%s\n", path, intro)
	}
	p.b.WriteString("\n| key | value | default | meaning |\n|---|---|---|---|\n")
	for _, s := range k.sub {
		fmt.Fprintf(&p.b, "| `%s` | %s | %s | %s |\n", s.name, p.value(s), p.fallback(s), p.doc(typ, s))
	}
	for _, s := range k.sub {
		if len(s.sub) == 0 {
			continue
		}
		below := s.typ
		if s.elements() {
			below = below.Elem()
		}
		p.table(s.path, p.doc(typ, s), s, below)
	}
}

// doc returns the comment of the field of a key, or of its type.
func (p *pageWriter) doc(typ reflect.Type, k key) string {
	field := typ.Field(k.index)
	if doc := p.docs[typ.Name()+"."+field.Name]; doc != "" {
		return doc
	}
	return p.docs[k.typ.Name()]
}

func (p *pageWriter) value(k key) string {
	switch {
	case len(k.oneOf) > 0:
		return "`" + strings.Join(k.oneOf, "`, `") + "`"
	case len(k.sub) > 0:
		return fmt.Sprintf("[%s](#%s)", typeName(k.typ), strings.ReplaceAll(k.path, ".", ""))
	}
	return typeName(k.typ)
}

func (p *pageWriter) fallback(k key) string {
	switch {
	case k.inherits != "":
		return "that of `" + k.inherits + "`"
	case k.hasDefault:
		return "`" + k.def + "`"
	case slices.Contains(needed(parent(k.path)), k.name), k.path == "nodes[].address":
		return "**needed**"
	}
	return ""
}

func parent(path string) string {
	return strings.ReplaceAll(path[:max(0, strings.LastIndex(path, "."))], "[]", "")
}

// docComments returns the doc comments of the structs with the keys and of
// their fields, each on one line.
func docComments(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	for _, name := range []string{"config.go", "monitor.go", "etcd.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		collectDocs(docs, file)
	}
	return docs
}

func collectDocs(docs map[string]string, file *ast.File) {
	for _, d := range file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range decl.Specs {
			spec, ok := s.(*ast.TypeSpec)
			if !ok {
				continue
			}
			docs[spec.Name.Name] = oneLine(decl.Doc.Text())
			body, ok := spec.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, f := range body.Fields.List {
				for _, name := range f.Names {
					docs[spec.Name.Name+"."+name.Name] = oneLine(f.Doc.Text())
				}
			}
		}
	}
}

func oneLine(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", " ") }

// Each key explains itself, or its struct does.
func TestEachKeyIsExplained(t *testing.T) {
	docs := docComments(t)
	var check func(k key, typ reflect.Type)
	check = func(k key, typ reflect.Type) {
		for _, s := range k.sub {
			below := s.typ
			if below.Kind() == reflect.Slice {
				below = below.Elem()
			}
			if docs[typ.Name()+"."+typ.Field(s.index).Name] == "" && (len(s.sub) == 0 || docs[below.Name()] == "") {
				t.Errorf("%s has no doc comment", s.path)
			}
			if len(s.sub) > 0 {
				check(s, below)
			}
		}
	}
	check(schema(), reflect.TypeFor[Config]())
}
