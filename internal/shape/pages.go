package shape

import (
	"encoding/json"
	"strings"
)

// At returns what stands in raw, valid JSON, under names joined by dots, such as
// "paging.next"; "" is raw itself. Of equal keys the last counts, as
// encoding/json reads them.
func At(raw json.RawMessage, path string) (value json.RawMessage, found bool) {
	if path == "" {
		return raw, true
	}
	for name := range strings.SplitSeq(path, ".") {
		var object map[string]json.RawMessage
		if json.Unmarshal(raw, &object) != nil {
			return nil, false
		}
		if raw, found = object[name]; !found {
			return nil, false
		}
	}
	return raw, true
}

// Array returns the items of an array as they were written, and false for other
// values.
func Array(raw json.RawMessage) (items []json.RawMessage, ok bool) {
	if list, isArray := members(raw); isArray && !isObject(raw) {
		for _, m := range list {
			items = append(items, m.value)
		}
		return items, true
	}
	return nil, false
}

// Join writes items as an array.
func Join(items []json.RawMessage) json.RawMessage {
	list := make([]member, len(items))
	for i, item := range items {
		list[i].value = item
	}
	return join(list, false)
}

// Next returns the target of the first link with the relation "next" in the
// values of Link header fields (RFC 8288 section 3), and false when there is
// none.
func Next(values []string) (target string, found bool) {
	for _, value := range values {
		for value != "" {
			_, after, opened := strings.Cut(value, "<")
			uri, rest, closed := strings.Cut(after, ">")
			if !opened || !closed {
				break
			}
			parameters, following := until(rest, ',')
			if isNext(parameters) {
				return uri, true
			}
			value = following
		}
	}
	return "", false
}

// until cuts text at the first separator outside quotes.
func until(text string, separator byte) (before, after string) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == separator && !quoted:
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

// isNext reports whether a link's parameters have the relation "next"; only the
// first rel counts (RFC 8288 section 3.3).
func isNext(parameters string) bool {
	for parameters != "" {
		var parameter string
		parameter, parameters = until(parameters, ';')
		name, value, _ := strings.Cut(parameter, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "rel") {
			continue
		}
		for relation := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(value), `"`)) {
			if strings.EqualFold(relation, "next") {
				return true
			}
		}
		return false
	}
	return false
}
