package wireschema

import (
	"encoding/json"
	"maps"
	"slices"
)

// read20241105 makes up for the schema of 2024-11-05, which the package that
// the others come from does not carry: it is the one of 2025-03-26 without
// what that revision added to messages of servers with a constraint, which is
// audio, and batches. What else it added is open members ("message" of
// progress, annotations of tools), which 2024-11-05 lets pass.
//
// One thing is let in that no schema of 2024-11-05 would have: a server asks
// people on an HTTP+SSE stream with the elicitation/create of 2025-06-18,
// because a client that declares the capability wants it. It has to be valid
// in that revision.
func read20241105() (*published, error) {
	definitions, err := definitionsOf(rev20250326)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(definitions, func(name string, _ any) bool {
		return slices.Contains([]string{"AudioContent", "JSONRPCBatchRequest", "JSONRPCBatchResponse"}, name)
	})
	for _, definition := range definitions {
		withoutAudio(definition)
	}
	later, err := definitionsOf(rev20250618)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"ElicitRequest", "PrimitiveSchemaDefinition", "BooleanSchema", "EnumSchema", "NumberSchema", "StringSchema"} {
		definitions[name] = later[name]
	}
	if union, ok := definitions["ServerRequest"].(map[string]any); ok {
		members, _ := union["anyOf"].([]any)
		union["anyOf"] = append(members, map[string]any{"$ref": "#/definitions/ElicitRequest"})
	}
	delete(definitions, "JSONRPCMessage") // names the batches
	text, err := json.Marshal(map[string]any{"$schema": "http://json-schema.org/draft-07/schema#", "definitions": definitions})
	if err != nil {
		return nil, err
	}
	return read(rev20241105, text)
}

// definitionsOf returns the definitions of a schema as plain JSON, a copy.
func definitionsOf(revision string) (map[string]any, error) {
	text, err := files.ReadFile("schemas/" + revision + ".json")
	if err != nil {
		return nil, err
	}
	var root struct{ Definitions map[string]any }
	return root.Definitions, json.Unmarshal(text, &root)
}

// withoutAudio takes the alternative AudioContent out of every union.
func withoutAudio(node any) {
	switch node := node.(type) {
	case []any:
		for _, element := range node {
			withoutAudio(element)
		}
	case map[string]any:
		if alternatives, ok := node["anyOf"].([]any); ok {
			node["anyOf"] = slices.DeleteFunc(alternatives, func(alternative any) bool {
				object, _ := alternative.(map[string]any)
				return object["$ref"] == "#/definitions/AudioContent"
			})
		}
		for _, member := range node {
			withoutAudio(member)
		}
	}
}
