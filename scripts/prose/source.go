package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
)

// goBlocks returns the prose of a Go file: its comments, and its messages, which
// are the literals of more than two words but for scripts. In tests, only the comments count.
func goBlocks(path string, source []byte) ([]block, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var blocks []block
	for _, group := range file.Comments {
		blocks = append(blocks, commentBlocks(files, group)...)
	}
	if strings.HasSuffix(path, "_test.go") {
		return blocks, nil
	}
	ast.Inspect(file, func(n ast.Node) bool {
		literal, isLiteral := n.(*ast.BasicLit)
		if !isLiteral || literal.Kind != token.STRING {
			return true
		}
		if text, err := strconv.Unquote(literal.Value); err == nil && strings.Count(text, " ") > 1 && !isScript(literal.Value) {
			blocks = append(blocks, plainBlocks(text, files.Position(literal.Pos()).Line)...)
		}
		return true
	})
	return blocks, nil
}

// isScript reports whether a literal is a shell script of several lines.
func isScript(literal string) bool {
	return strings.HasPrefix(literal, "`") && strings.Contains(literal, "\n") && strings.ContainsAny(literal, "$;")
}

func commentBlocks(files *token.FileSet, group *ast.CommentGroup) []block {
	var text []string
	for _, c := range group.List {
		line := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(c.Text, "//"), "/*"), "*/")
		if strings.HasPrefix(c.Text, "//go:") || strings.HasPrefix(line, "\t") {
			line = "" // a directive, or code
		}
		text = append(text, strings.Split(strings.TrimPrefix(line, " "), "\n")...)
	}
	return plainBlocks(strings.Join(text, "\n"), files.Position(group.Pos()).Line)
}

// plainBlocks returns the paragraphs of a text, the first line of which has the
// given number. Indented lines are code.
func plainBlocks(text string, first int) []block {
	var blocks []block
	var now block
	for i, line := range append(strings.Split(text, "\n"), "") {
		switch trimmed := strings.TrimSpace(line); {
		case trimmed != "" && !strings.HasPrefix(line, "    ") && !strings.HasPrefix(line, "\t"):
			if (item.MatchString(line) || row.MatchString(line)) && now.text != "" {
				blocks, now = append(blocks, now), block{}
			}
			now.add(trimmed, first+i)
		case now.text != "":
			blocks, now = append(blocks, now), block{}
		}
	}
	for i := range blocks {
		blocks[i].text = hide(blocks[i].text)
	}
	return blocks
}

// row matches a row of a table in a help text: a column, then its meaning.
var row = regexp.MustCompile(`^  \S+(?: \S+)?  +\S`)

// noteBlocks returns the comments of a file whose comments begin with #: units,
// YAML, shell.
func noteBlocks(text string) []block {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		_, note, _ := strings.Cut(line, "# ")
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			note = ""
		}
		lines = append(lines, note)
	}
	return plainBlocks(strings.Join(lines, "\n"), 1)
}
