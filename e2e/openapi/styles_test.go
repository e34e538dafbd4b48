package openapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/openapi"
)

// kinds are the kinds of values that OpenAPI writes differently, with a value of
// each and its schema.
var kinds = []struct {
	schema string
	value  any
}{
	{`{"type":"string"}`, ""},
	{`{"type":"integer"}`, 0},
	{`{"type":"boolean"}`, false},
	{`{"type":"array","items":{"type":"string"}}`, []any{}},
	{`{"type":"object","properties":{"R":{"type":"integer"},"G":{"type":"integer"}}}`, map[string]any{}},
}

// places are the styles of each place.
var places = map[openapi.In][]string{
	openapi.InPath: {"simple", "label", "matrix"}, openapi.InHeader: {"simple"},
	openapi.InQuery: {"form", "spaceDelimited", "pipeDelimited", "deepObject"}, openapi.InCookie: {"form"},
}

// isDefined reports whether OpenAPI defines a style for a value (version 3.2,
// "Style Examples"), and kin-openapi reads it.
func isDefined(in openapi.In, style string, value any, explode bool) bool {
	_, list := value.([]any)
	_, object := value.(map[string]any)
	switch {
	case style == "deepObject":
		return object && explode
	case style == "spaceDelimited", style == "pipeDelimited":
		return (list || object) && !explode
	case in == openapi.InCookie:
		return !list && !object // unreadable says why
	default:
		return true
	}
}

// everyBody has a body of every kind, by media type.
var everyBody = map[string]string{
	"application/json":         `{"schema":{"type":"array","items":{"type":"object","properties":{"a":{"type":"number"}}}}}`,
	"text/csv":                 `{"schema":{"type":"string"}}`,
	"text/plain":               `{"schema":{"type":"string"}}`,
	"application/octet-stream": `{"schema":{"type":"string","format":"binary"}}`,
	"image/png":                `{"schema":{"type":"string","format":"binary"}}`,
	"application/x-www-form-urlencoded": `{"schema":{"type":"object","properties":{
		"text":{"type":"string"},"number":{"type":"number"},"list":{"type":"array","items":{"type":"string"}},"whole":{"type":"array","items":{"type":"integer"}},
		"spaces":{"type":"array","items":{"type":"integer"}},"pipes":{"type":"array","items":{"type":"integer"}},
		"deep":{"type":"object","properties":{"R":{"type":"integer"}}},"flat":{"type":"object","properties":{"G":{"type":"integer"}}}}},
		"encoding":{"whole":{"style":"form","explode":false},"spaces":{"style":"spaceDelimited","explode":false},"pipes":{"style":"pipeDelimited","explode":false},
		"deep":{"style":"deepObject","explode":true},"flat":{"style":"form","explode":false}}}`,
	"multipart/form-data": `{"schema":{"type":"object","properties":{
		"text":{"type":"string"},"number":{"type":"number"},"list":{"type":"array","items":{"type":"integer"}},"object":{"type":"object","properties":{"R":{"type":"integer"}}},
		"objects":{"type":"array","items":{"type":"object","properties":{"R":{"type":"integer"}}}},
		"file":{"type":"string","format":"binary"},"files":{"type":"array","items":{"type":"string","format":"binary"}}}},
		"encoding":{"file":{"contentType":"image/png"}}}`,
}

// everyStyle returns a document with a parameter for every place, style and kind of
// value, and with every kind of a body, and what a tally has to have of the former.
func everyStyle(t *testing.T) (document []byte, styles []string) {
	t.Helper()
	paths := map[string]any{}
	responses := json.RawMessage(`{"default":{"description":"Whatever"}}`)
	for in, list := range places {
		for _, style := range list {
			for i, kind := range kinds {
				for _, explode := range []bool{false, true} {
					if !isDefined(in, style, kind.value, explode) {
						continue
					}
					styles = append(styles, written(string(in), style, explode, kind.value))
					name := fmt.Sprintf("%s_%s_%d_%v", in, style, i, explode)
					path := "/" + name
					if in == openapi.InPath {
						path += "/{p}/end"
					}
					paths[path] = map[string]any{"get": map[string]any{"operationId": name, "responses": responses, "parameters": []any{map[string]any{
						"name": "p", "in": in, "required": true, "style": style, "explode": explode, "schema": json.RawMessage(kind.schema),
					}}}}
				}
			}
		}
	}
	styles = append(styles, written("query", "JSON", false, map[string]any{}))
	paths["/json"] = map[string]any{"get": map[string]any{"operationId": "json", "responses": responses, "parameters": []any{map[string]any{
		"name": "p", "in": "query", "content": map[string]any{"application/json": json.RawMessage(`{"schema":{"type":"object"}}`)},
	}}}}
	for mediaType, media := range everyBody {
		paths["/body/"+mediaType] = map[string]any{"post": map[string]any{"responses": responses, "requestBody": map[string]any{
			"required": true, "content": map[string]any{mediaType: json.RawMessage(media)},
		}}}
	}
	document, err := json.Marshal(map[string]any{"openapi": "3.0.4", "info": map[string]string{"title": "Styles", "version": "1"}, "paths": paths})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(styles)
	return document, styles
}
