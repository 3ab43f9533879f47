package main

import (
	"regexp"
	"strings"
)

// block is a piece of prose: a paragraph, an item of a list, a cell of a table, a
// comment. Its lines are joined by spaces.
type block struct {
	text  string
	name  string // the command that a help text belongs to
	lines []place
}

// place says where a line of a file begins in the text of a block.
type place struct {
	offset, line int
}

func (b *block) add(text string, line int) {
	if b.text != "" {
		b.text += " "
	}
	b.lines = append(b.lines, place{len(b.text), line})
	b.text += text
}

// line returns the line of the file that holds an offset of the text.
func (b *block) line(offset int) int {
	line := 0
	for _, p := range b.lines {
		if p.offset <= offset {
			line = p.line
		}
	}
	return line
}

var (
	fence    = regexp.MustCompile("^\\s*```")
	htmlNote = regexp.MustCompile(`(?s)<!--.*?-->`)
	item     = regexp.MustCompile(`^\s*(?:[-*]|\d+\.)\s+`)
	heading  = regexp.MustCompile(`^#+\s+`)
	codeSpan = regexp.MustCompile("`[^`]*`")
	target   = regexp.MustCompile(`\]\([^)]*\)`)
	address  = regexp.MustCompile(`https?://\S+`)
)

// markdownBlocks returns the prose of a page.
func markdownBlocks(page string) []block {
	page = htmlNote.ReplaceAllStringFunc(page, func(s string) string { return strings.Repeat("\n", strings.Count(s, "\n")) })
	var blocks []block
	var now block
	end := func() {
		if now.text != "" {
			blocks = append(blocks, now)
		}
		now = block{}
	}
	inFence := false
	for i, line := range strings.Split(page, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case fence.MatchString(line):
			inFence = !inFence
			end()
		case inFence:
		case trimmed == "", heading.MatchString(line):
			end()
			now.add(heading.ReplaceAllString(trimmed, ""), i+1)
			end()
		case strings.HasPrefix(trimmed, "|"):
			end()
			for cell := range strings.SplitSeq(trimmed, "|") {
				now.add(strings.TrimSpace(cell), i+1)
				end()
			}
		case item.MatchString(line):
			end()
			now.add(item.ReplaceAllString(line, ""), i+1)
		default:
			now.add(trimmed, i+1)
		}
	}
	end()
	for i := range blocks {
		blocks[i].text = hide(blocks[i].text)
	}
	return blocks
}

// hide puts one word of the same length in the place of each code span, address
// and link target, so that offsets stay.
func hide(text string) string {
	word := func(s string) string { return strings.Repeat("x", len(s)) }
	text = codeSpan.ReplaceAllStringFunc(text, word)
	text = target.ReplaceAllStringFunc(text, func(s string) string { return "]" + strings.Repeat(" ", len(s)-1) })
	return address.ReplaceAllStringFunc(text, word)
}
