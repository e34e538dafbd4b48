package openapi

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// Bounds of a search.
const (
	maxQueryWords = 16
	maxWord       = 40  // bytes of a word that count
	minBeginning  = 3   // bytes of a word that finds those it begins
	maxIndexed    = 128 // words of one operation that are found
	MaxFound      = 50  // operations
)

// The weight of a word by where it stands. A word that only begins with the one
// that is looked for counts half.
const (
	weightName    = 8
	weightSummary = 6
	weightTag     = 4
	weightPath    = 4
	weightProse   = 2
)

// Index finds operations by words. It does not change.
type Index struct {
	operations []Operation
	words      []indexed // sorted by word, then operation
}

// indexed is a word of an operation.
type indexed struct {
	word      string
	operation int
	weight    int
}

// NewIndex returns an index of operations.
func NewIndex(operations []Operation) *Index {
	index := &Index{operations: slices.Clone(operations)}
	for i, o := range operations {
		weights := map[string]int{}
		var order []string
		add := func(text string, weight int) {
			for _, word := range words(text, maxIndexed) {
				if weights[word] == 0 && len(order) < maxIndexed {
					order = append(order, word)
				}
				weights[word] = max(weights[word], weight)
			}
		}
		add(o.Name, weightName)
		add(snake(o.ID), weightName)
		add(o.ID, weightName)
		add(o.Summary, weightSummary)
		for _, tag := range o.Tags {
			add(tag, weightTag)
		}
		add(o.Path, weightPath)
		add(o.Method, weightPath)
		add(o.Description, weightProse)
		for _, word := range order {
			index.words = append(index.words, indexed{word, i, weights[word]})
		}
	}
	slices.SortFunc(index.words, func(a, b indexed) int {
		return cmp.Or(strings.Compare(a.word, b.word), a.operation-b.operation)
	})
	return index
}

// Search returns the operations that have words of the query and that keep
// accepts, the best first, at most limit and MaxFound: one whose name is the
// query, those with most of its words, then those where they weigh most, then in
// the document's order. A nil keep accepts all.
func (x *Index) Search(query string, limit int, keep func(Operation) bool) []Operation {
	type score struct{ operation, words, weight int }
	scores := map[int]*score{}
	for _, word := range words(query, maxQueryWords) {
		for operation, weight := range x.find(word) {
			if scores[operation] == nil {
				scores[operation] = &score{operation: operation}
			}
			scores[operation].words++
			scores[operation].weight += weight
		}
	}
	named := func(operation int) int {
		if o := x.operations[operation]; query == o.Name || query == o.ID {
			return 1
		}
		return 0
	}
	var ranked []*score
	for _, one := range scores {
		ranked = append(ranked, one)
	}
	slices.SortFunc(ranked, func(a, b *score) int {
		return cmp.Or(named(b.operation)-named(a.operation), b.words-a.words, b.weight-a.weight, a.operation-b.operation)
	})
	var found []Operation
	for _, one := range ranked {
		if len(found) >= min(limit, MaxFound) {
			break
		}
		if operation := x.operations[one.operation]; keep == nil || keep(operation) {
			found = append(found, operation)
		}
	}
	return found
}

// find returns the weight of a word for each operation that has it or one that
// begins with it.
func (x *Index) find(word string) map[int]int {
	first, _ := slices.BinarySearchFunc(x.words, word, func(entry indexed, word string) int {
		return strings.Compare(entry.word, word)
	})
	weights := map[int]int{}
	for _, entry := range x.words[first:] {
		if !strings.HasPrefix(entry.word, word) || len(word) < minBeginning && entry.word != word {
			break
		}
		weight := 2 * entry.weight
		if entry.word != word {
			weight = entry.weight
		}
		weights[entry.operation] = max(weights[entry.operation], weight)
	}
	return weights
}

// words returns the different words of a text in small letters, without the s of
// most plurals, at most limit.
func words(text string, limit int) []string {
	var list []string
	for word := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		word = cut(word, maxWord)
		if len(word) > 3 && strings.HasSuffix(word, "s") && !strings.HasSuffix(word, "ss") {
			word = word[:len(word)-1]
		}
		if !slices.Contains(list, word) {
			list = append(list, word)
		}
		if len(list) == limit {
			break
		}
	}
	return list
}
