package openapi

import (
	"encoding/json"
	"slices"
)

// member is one key of an object with its value as JSON.
type member struct {
	key   string
	value json.RawMessage
}

// object is a JSON object in the making; it keeps the order of its keys.
type object struct{ members []member }

func (o *object) find(key string) int {
	return slices.IndexFunc(o.members, func(m member) bool { return m.key == key })
}

func (o *object) has(key string) bool { return o.find(key) >= 0 }

func (o *object) get(key string) json.RawMessage {
	if i := o.find(key); i >= 0 {
		return o.members[i].value
	}
	return nil
}

func (o *object) set(key string, value json.RawMessage) {
	if i := o.find(key); i >= 0 {
		o.members[i].value = value
		return
	}
	o.members = append(o.members, member{key, value})
}

// add appends a key that is not there yet.
func (o *object) add(key string, value json.RawMessage) {
	o.members = append(o.members, member{key, value})
}

func (o *object) remove(key string) {
	o.members = slices.DeleteFunc(o.members, func(m member) bool { return m.key == key })
}

// describe puts a description first, in place of the one that is there. An empty
// one changes nothing.
func (o *object) describe(description string) {
	if description == "" {
		return
	}
	o.remove("description")
	o.members = slices.Insert(o.members, 0, member{"description", appendText(nil, description)})
}

func (o *object) json() json.RawMessage {
	size := 2
	for _, m := range o.members {
		size += len(m.key) + len(m.value) + 4
	}
	b := append(make([]byte, 0, size), '{')
	for i, m := range o.members {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(appendText(b, m.key), ':'), m.value...)
	}
	return append(b, '}')
}

// array writes JSON values as an array.
func array(values []json.RawMessage) json.RawMessage {
	b := []byte{'['}
	for i, value := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, value...)
	}
	return append(b, ']')
}

func textsJSON(texts []string) json.RawMessage {
	var values []json.RawMessage
	for _, text := range texts {
		values = append(values, appendText(nil, text))
	}
	return array(values)
}
