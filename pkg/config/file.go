package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFileSize bounds what is read as a configuration; a real one has a few
// kilobytes.
const maxFileSize = 1 << 20

// reader turns one YAML file into a tree of checked values for viper.
type reader struct {
	file     string
	problems *problems
	sources  sources
	root     key  // all keys
	broken   bool // the file is no YAML, so nothing can be said of its values
}

// readFile returns the bytes of the configuration file. Since the file names
// programs that are run as root, one that everybody may write is refused.
func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		hint := ""
		switch {
		case errors.Is(err, fs.ErrNotExist):
			hint = "failover-notify setup makes it for a pair; /usr/share/understudy/config.yaml is an example; or name another with --config or UNDERSTUDY_CONFIG"
		case errors.Is(err, fs.ErrPermission):
			hint = "run this as root"
		}
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = pe.Err
		}
		return nil, &FileError{File: file, Err: err, hint: hint}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, &FileError{File: file, Err: err}
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o002 != 0 {
		return nil, &FileError{
			File: file,
			Err:  errors.New("everybody may write it, and it names programs to run"),
			hint: "chmod o-w " + file,
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, &FileError{File: file, Err: err}
	}
	if len(data) > maxFileSize {
		return nil, &FileError{File: file, Err: fmt.Errorf("larger than %d bytes", maxFileSize)}
	}
	return data, nil
}

// read parses the file's content and returns its values under their keys.
func (r *reader) read(data []byte) map[string]any {
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return map[string]any{}
	case err != nil:
		r.syntax(err)
		return map[string]any{}
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		r.problems.add(r.at(&second), "", "a second document begins here; the config is one document")
	case !errors.Is(err, io.EOF):
		r.syntax(err)
	}
	if len(document.Content) != 1 {
		return map[string]any{}
	}
	return r.mapping(document.Content[0], r.root, "")
}

func (r *reader) syntax(err error) {
	r.broken = true
	at, text := source{where: r.file}, err.Error()
	if m := syntaxError().FindStringSubmatch(text); m != nil {
		text = m[2]
		if line, err := strconv.Atoi(cmp.Or(m[1], "0")); err == nil {
			if m[1] == "" || strings.HasPrefix(text, "did not find expected") {
				line++ // the parser's own errors count from 0, the scanner's from 1
			}
			at = source{where: fmt.Sprintf("%s:%d", r.file, line), line: line}
		}
	}
	r.problems.add(at, "", "not valid YAML: %s", text)
}

func (r *reader) at(node *yaml.Node) source {
	return source{where: fmt.Sprintf("%s:%d", r.file, node.Line), line: node.Line, column: node.Column}
}

// mapping reads a mapping of the keys below k. path is where it stands, with
// indexes ("nodes[0]"); it is empty for the whole file.
func (r *reader) mapping(node *yaml.Node, k key, path string) map[string]any {
	values := map[string]any{}
	if node.Tag == "!!null" {
		return values // "ssh:" with nothing below it
	}
	if node.Kind != yaml.MappingNode {
		r.wrongKind(node, path, "a mapping of keys")
		return values
	}
	firstLine := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		below := name.Value
		if path != "" {
			below = path + "." + name.Value
		}
		if line, again := firstLine[name.Value]; again {
			// Not add's "one problem a key": both lines are wrong.
			r.problems.add(r.at(name), "", "%s: given twice; first on line %d", below, line)
			continue
		}
		firstLine[name.Value] = name.Line
		sub, ok := k.find(name.Value)
		if !ok {
			r.problems.add(r.at(name), below, "unknown key%s", r.root.nearest(k, name.Value))
			continue
		}
		r.sources[below] = r.at(name)
		if v := r.value(value, sub, below); v != nil {
			values[name.Value] = v
		}
	}
	return values
}

// value reads what stands under a key; nil means that nothing usable does.
func (r *reader) value(node *yaml.Node, k key, path string) any {
	switch {
	case node.Kind == yaml.AliasNode:
		r.problems.add(r.at(node), path, "aliases are not supported; write the value out")
		return nil
	case k.elements():
		return r.list(node, k, path)
	case k.scalar():
		return r.single(node, k, path)
	case len(k.sub) > 0:
		return r.mapping(node, k, path)
	}
	return r.texts(node, path)
}

// single reads a scalar value.
func (r *reader) single(node *yaml.Node, k key, path string) any {
	if node.Kind != yaml.ScalarNode {
		r.wrongKind(node, path, "a single value ("+typeName(k.typ)+")")
		return nil
	}
	if node.Tag == "!!null" {
		r.problems.add(r.at(node), path, "has no value; give it one or remove the key")
		return nil
	}
	r.sources[path] = r.at(node)
	v, err := k.parse(node.Value)
	if err != nil {
		r.problems.add(r.at(node), path, "%v", err)
		return nil
	}
	return v
}

// list reads a list of mappings; each element gets the defaults of the keys
// that it does not give, since viper knows no defaults within lists.
func (r *reader) list(node *yaml.Node, k key, path string) any {
	if node.Tag == "!!null" {
		return nil
	}
	if node.Kind != yaml.SequenceNode {
		r.wrongKind(node, path, "a list, each element after a dash")
		return nil
	}
	list := make([]any, len(node.Content))
	for i, element := range node.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.sources[at] = r.at(element)
		values := r.mapping(element, k, at)
		for _, sub := range k.sub {
			if _, given := values[sub.name]; !given && sub.hasDefault {
				values[sub.name] = sub.defaultValue()
			}
		}
		list[i] = values
	}
	return list
}

// texts reads a list of texts.
func (r *reader) texts(node *yaml.Node, path string) any {
	if node.Tag == "!!null" {
		return nil
	}
	if node.Kind != yaml.SequenceNode {
		r.wrongKind(node, path, "a list, such as [one, two]")
		return nil
	}
	list := make([]string, len(node.Content))
	for i, element := range node.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.sources[at] = r.at(element)
		if element.Kind != yaml.ScalarNode || element.Tag == "!!null" {
			r.wrongKind(element, at, "a text")
			continue
		}
		list[i] = element.Value
	}
	return list
}

func (r *reader) wrongKind(node *yaml.Node, path, want string) {
	have := map[yaml.Kind]string{
		yaml.MappingNode:  "a mapping",
		yaml.SequenceNode: "a list",
		yaml.ScalarNode:   fmt.Sprintf("%q", node.Value),
		yaml.AliasNode:    "an alias",
	}[node.Kind]
	r.problems.add(r.at(node), path, "want %s, have %s", want, have)
}
