package shape

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// maxFitDepth bounds how deep [Fit] cuts: each level reads again what is below.
const maxFitDepth = 16

// member is a value of an array or, with its key as it was written, of an object.
type member struct {
	key   json.RawMessage // nil in an array
	value json.RawMessage
}

// size is what the member needs in its array or object, without a comma.
func (m member) size() int {
	if m.key == nil {
		return len(m.value)
	}
	return len(m.key) + 1 + len(m.value)
}

// members splits an array or object, and returns false for other values. Raw is
// valid JSON.
func members(raw []byte) (list []member, ok bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '[' && raw[0] != '{' {
		return nil, false
	}
	object := raw[0] == '{'
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if _, err := decoder.Token(); err != nil {
		return nil, false
	}
	for decoder.More() {
		var m member
		if object {
			before := decoder.InputOffset()
			if _, err := decoder.Token(); err != nil {
				return nil, false
			}
			m.key = bytes.TrimLeft(raw[before:decoder.InputOffset()], ", \t\r\n")
		}
		if decoder.Decode(&m.value) != nil {
			return nil, false
		}
		list = append(list, m)
	}
	return list, true
}

// join writes members as an array, or as an object.
func join(list []member, object bool) json.RawMessage {
	open, end := byte('['), byte(']')
	if object {
		open, end = '{', '}'
	}
	b := []byte{open}
	for i, m := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if object {
			b = append(append(b, m.key...), ':')
		}
		b = append(b, m.value...)
	}
	return append(b, end)
}

func isObject(raw []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) }

// Items keeps at most limit items of an array; of an object, of every array that
// is a member of it. Left says how many items were dropped; with none, raw is
// returned as it is.
func Items(raw json.RawMessage, limit int) (result json.RawMessage, left int) {
	list, ok := members(raw)
	switch {
	case !ok:
		return raw, 0
	case isObject(raw):
		for i, m := range list {
			if !isObject(m.value) {
				cut, dropped := Items(m.value, limit)
				list[i].value = cut
				left += dropped
			}
		}
	case len(list) > limit:
		left = len(list) - limit
		list = list[:limit]
	}
	if left == 0 {
		return raw, 0
	}
	return join(list, isObject(raw)), left
}

// ellipsis marks a text that was cut.
const ellipsis = "…"

// Fit returns raw itself when it has at most limit bytes, and otherwise a part of
// it that has: arrays lose their last items, long texts their ends, and objects
// the members for which there is no room. It returns nil when nothing fits.
func Fit(raw json.RawMessage, limit int) (result json.RawMessage, cut bool) {
	return fit(raw, limit, 0)
}

func fit(raw json.RawMessage, limit, depth int) (result json.RawMessage, cut bool) {
	if len(raw) <= limit {
		return raw, false
	}
	trimmed := json.RawMessage(bytes.TrimSpace(raw))
	if len(trimmed) <= limit {
		return trimmed, false
	}
	if limit < 2 || depth == maxFitDepth {
		return nil, true
	}
	list, ok := members(trimmed)
	switch {
	case ok && isObject(trimmed):
		return join(fitObject(list, limit-2, depth+1), true), true
	case ok:
		return join(fitArray(list, limit-2, depth+1), false), true
	case trimmed[0] == '"':
		return fitText(trimmed, limit), true
	default: // a number would be another one
		return nil, true
	}
}

// fitArray keeps the first items that fit. An item is cut only when it is the
// first: half an item after whole ones would look like one of them.
func fitArray(list []member, limit, depth int) (kept []member) {
	for i, m := range list {
		need := m.size() + min(i, 1)
		if need <= limit {
			kept, limit = append(kept, m), limit-need
			continue
		}
		if i == 0 {
			if value, _ := fit(m.value, limit, depth); value != nil {
				kept = append(kept, member{value: value})
			}
		}
		break
	}
	return kept
}

// fitObject keeps small members whole and gives the large ones equal shares of
// what remains, in the order of the object.
func fitObject(list []member, limit, depth int) (kept []member) {
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return list[a].size() - list[b].size() })
	values := make([]json.RawMessage, len(list))
	limit++ // the first member has no comma
	for done, i := range order {
		share := limit / (len(order) - done)
		overhead := len(list[i].key) + 2 // colon and comma
		values[i], _ = fit(list[i].value, max(0, share-overhead), depth)
		if values[i] != nil {
			limit -= overhead + len(values[i])
		}
	}
	for i, m := range list {
		if values[i] != nil {
			kept = append(kept, member{key: m.key, value: values[i]})
		}
	}
	return kept
}

// fitText cuts a JSON string between two characters.
func fitText(raw []byte, limit int) json.RawMessage {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return nil
	}
	room := limit - len(`""`) - len(ellipsis)
	end, used := 0, 0
	for end < len(text) {
		_, size := utf8.DecodeRuneInString(text[end:])
		need := len(quote(text[end:end+size])) - len(`""`)
		if used+need > room {
			break
		}
		end, used = end+size, used+need
	}
	if room < 0 {
		return nil
	}
	return quote(text[:end] + ellipsis)
}

// quote writes a JSON string without escapes for HTML.
func quote(text string) json.RawMessage {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string always encodes, and a Buffer takes it
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
