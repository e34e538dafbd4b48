// Package page reads the documents of this project as tests need them: the fenced
// blocks, what a block that shows an output says of a real one, and the ports that
// documents name. It is for tests only and imports nothing of this module, so that
// the tests of every package may use it.
//
// Start with [Split]. What stands behind a fence says what a block is; which words
// there are is up to the test that reads the document.
package page

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Block is a fenced block of a Markdown file.
type Block struct {
	Info string // what stands behind the fence
	Text string
	Line int // of the fence
}

// Read returns the text of a document.
func Read(tb testing.TB, path string) string {
	tb.Helper()
	text, err := os.ReadFile(path) //nolint:gosec // a document of this project
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// Split returns the fenced blocks of a document and the document without them.
func Split(text string) (fenced []Block, prose string) {
	var rest strings.Builder
	var open *Block
	number := 0
	for line := range strings.Lines(text) {
		number++
		info, fence := strings.CutPrefix(strings.TrimRight(line, "\n"), "```")
		switch {
		case fence && open == nil:
			open = &Block{Info: info, Line: number}
		case fence:
			fenced = append(fenced, *open)
			open = nil
		case open != nil:
			open.Text += line
		default:
			rest.WriteString(line)
		}
	}
	return fenced, rest.String()
}

// Compare returns how got differs from what the block shows, "" for not at all.
// In the block "..." stands for any text; space at the ends does not count.
func (b Block) Compare(got string) string {
	want, got := strings.TrimSpace(b.Text), strings.TrimSpace(got)
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), `\.\.\.`, `(?s:.+?)`)
	if regexp.MustCompile(`\A` + pattern + `\z`).MatchString(got) {
		return ""
	}
	return fmt.Sprintf("line %d shows\n%s\nbut it is\n%s", b.Line, want, got)
}

// Ports translates between the ports 8000 to 8002 of documents and those of a test.
type Ports struct{ to, from *strings.Replacer }

// MapPorts returns the translation to port and the next two.
func MapPorts(port int) Ports {
	var to, from []string
	for i := range 3 {
		documented, actual := "localhost:"+strconv.Itoa(8000+i), "localhost:"+strconv.Itoa(port+i)
		to, from = append(to, documented, actual), append(from, actual, documented)
	}
	return Ports{strings.NewReplacer(to...), strings.NewReplacer(from...)}
}

// Forth returns a text of a document with the ports of the test.
func (p Ports) Forth(text string) string { return p.to.Replace(text) }

// Back returns a text of the test with the ports of the document.
func (p Ports) Back(text string) string { return p.from.Replace(text) }
