package keepalived

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxDepth bounds files that include each other.
const maxDepth = 16

// statement is one line of a configuration, with its block.
type statement struct {
	words []string // the first is the keyword
	file  string
	line  int
	block []statement
}

// at returns the file and line of the statement.
func (s statement) at() string { return fmt.Sprintf("%s:%d", s.file, s.line) }

// value returns the word after the keyword, or "".
func (s statement) value() string {
	if len(s.words) > 1 {
		return s.words[1]
	}
	return ""
}

// named returns the statements of a block with one of the keywords.
func named(block []statement, keywords ...string) []statement {
	var found []statement
	for _, s := range block {
		for _, keyword := range keywords {
			if s.words[0] == keyword {
				found = append(found, s)
			}
		}
	}
	return found
}

// parser parses a configuration as keepalived does: line by line, with comments from #
// or !, quoted words, blocks in braces, and included files.
type parser struct {
	tokens []token
	// obscure holds lines whose meaning only keepalived knows: conditions and
	// substitutions.
	obscure []statement
	// unreadable holds include lines whose files could not be read.
	unreadable []statement
}

// token is the words of a line, or a brace.
type token struct {
	words []string
	brace byte // '{' or '}'; 0: words
	file  string
	line  int
}

// parseFile parses a file and all files that it includes.
func parseFile(file string) ([]statement, *parser, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	return parseText(file, string(text))
}

// parseText parses text. Included paths are relative to file.
func parseText(file, text string) ([]statement, *parser, error) {
	p := &parser{}
	p.scan(file, text, 0)
	tree, err := p.tree()
	return tree, p, err
}

// scan appends the tokens of a text, and those of included files in place.
func (p *parser) scan(file, text string, depth int) {
	number, pending := 0, ""
	for line := range strings.Lines(text) {
		number++
		// A backslash at the end of a line joins it with the next, before anything else.
		line = pending + strings.TrimRight(line, "\r\n")
		if rest, joined := strings.CutSuffix(line, `\`); joined {
			pending = rest
			continue
		}
		pending = ""
		words, braces := split(line)
		if len(words) == 0 && len(braces) == 0 {
			continue
		}
		s := statement{words: words, file: file, line: number}
		if obscure(words) {
			p.obscure = append(p.obscure, s)
		}
		if len(words) > 1 && strings.HasPrefix(words[0], "include") {
			p.include(s, depth)
			continue
		}
		p.push(s, words, braces)
	}
}

// push appends a line's words and braces in order.
func (p *parser) push(s statement, words []string, braces map[int][]byte) {
	begin := 0
	for i := 0; i <= len(words); i++ {
		if len(braces[i]) == 0 {
			continue
		}
		if i > begin {
			p.tokens = append(p.tokens, token{words: words[begin:i], file: s.file, line: s.line})
		}
		for _, brace := range braces[i] {
			p.tokens = append(p.tokens, token{brace: brace, file: s.file, line: s.line})
		}
		begin = i
	}
	if begin < len(words) {
		p.tokens = append(p.tokens, token{words: words[begin:], file: s.file, line: s.line})
	}
}

// include scans the files of an include line. A pattern that matches none is no error,
// as for keepalived.
func (p *parser) include(s statement, depth int) {
	pattern := s.words[1]
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(s.file), pattern)
	}
	files, err := filepath.Glob(pattern)
	if err != nil || depth >= maxDepth || len(files) == 0 && !strings.ContainsAny(pattern, "*?[{") {
		p.unreadable = append(p.unreadable, s)
		return
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			p.unreadable = append(p.unreadable, s)
			continue
		}
		p.scan(file, string(text), depth+1)
	}
}

// obscure reports whether a line is a condition or uses keepalived's variables.
func obscure(words []string) bool {
	for i, word := range words {
		if i == 0 && strings.HasPrefix(word, "@") || strings.HasPrefix(word, "$") || strings.Contains(word, "${") || strings.HasPrefix(word, "~SEQ") {
			return true
		}
	}
	return false
}

// split returns a line's words and, by the number of words before them, its braces.
// Quotes join words and disable everything else.
func split(line string) (words []string, braces map[int][]byte) {
	braces = map[int][]byte{}
	var word strings.Builder
	inWord := false
	end := func() {
		if inWord {
			words = append(words, word.String())
			word.Reset()
			inWord = false
		}
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case '"':
			end() // keepalived begins a new word at a quote
			closing := strings.IndexByte(line[i+1:], '"')
			if closing < 0 {
				closing = len(line) - i - 1
			}
			words = append(words, line[i+1:i+1+closing])
			i += closing + 1
		case '#', '!':
			end()
			return words, braces
		case '$':
			// The braces of a variable are not a block.
			if closing := strings.IndexByte(line[i:], '}'); strings.HasPrefix(line[i:], "${") && closing > 0 {
				word.WriteString(line[i : i+closing])
				i += closing
			}
			word.WriteByte(line[i])
			inWord = true
		case '{', '}':
			end()
			braces[len(words)] = append(braces[len(words)], c)
		case ' ', '\t', '\f', '\v':
			end()
		case '\\':
			if i+1 < len(line) && (line[i+1] == '#' || line[i+1] == '!') {
				i++
			}
			word.WriteByte(line[i])
			inWord = true
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	end()
	return words, braces
}

// BraceError is a brace without its counterpart.
type BraceError struct{ At, Text string }

func (e *BraceError) Error() string { return e.At + ": " + e.Text }

// Hint says what to do next.
func (e *BraceError) Hint() string { return "check it with: keepalived -t" }

// tree builds blocks from the tokens. A block belongs to the words before it, on the
// same line or an earlier one.
func (p *parser) tree() ([]statement, error) {
	var stack [][]statement
	var current []statement
	var opened []token
	for _, t := range p.tokens {
		switch t.brace {
		case 0:
			current = append(current, statement{words: t.words, file: t.file, line: t.line})
		case '{':
			if len(current) == 0 {
				return nil, &BraceError{fmt.Sprintf("%s:%d", t.file, t.line), "a { without a keyword before it"}
			}
			stack, opened = append(stack, current), append(opened, t)
			current = nil
		case '}':
			if len(stack) == 0 {
				return nil, &BraceError{fmt.Sprintf("%s:%d", t.file, t.line), "a } without its {"}
			}
			outer := stack[len(stack)-1]
			outer[len(outer)-1].block = current
			stack, opened, current = stack[:len(stack)-1], opened[:len(opened)-1], outer
		}
	}
	if len(opened) > 0 {
		t := opened[len(opened)-1]
		return nil, &BraceError{fmt.Sprintf("%s:%d", t.file, t.line), "a { that is not closed"}
	}
	return current, nil
}
