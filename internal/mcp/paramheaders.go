package mcp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// maxHeaderDepth bounds how deep in a schema a mirrored parameter may be.
const maxHeaderDepth = 8

// declaredHeaders is which parameters of a tool are mirrored into Mcp-Param-*
// headers: "x-mcp-header" in its input schema (2026-07-28 transport, "Custom
// Headers from Tool Parameters").
type declaredHeaders struct {
	schema  string // it was read from
	headers []mirroredParameter
}

type mirroredParameter struct {
	header string // Mcp-Param-...
	path   []string
}

// headersOf returns what d's schema declares, read once for each schema.
func (s *Server) headersOf(d tool.Definition) []mirroredParameter {
	if cached, ok := s.paramHeaders.Load(d.Name); ok {
		if declared, ok := cached.(*declaredHeaders); ok && declared.schema == string(d.InputSchema) {
			return declared.headers
		}
	}
	declared := &declaredHeaders{schema: string(d.InputSchema)}
	if strings.Contains(declared.schema, "x-mcp-header") {
		declared.headers = mirrored(d.InputSchema, nil)
	}
	s.paramHeaders.Store(d.Name, declared)
	return declared.headers
}

// mirrored walks the chain of "properties", the only place where an annotation
// counts.
func mirrored(schema json.RawMessage, path []string) []mirroredParameter {
	object, err := strictjson.ParseObject(schema)
	if err != nil || len(path) > maxHeaderDepth {
		return nil
	}
	var found []mirroredParameter
	if name, ok := object.Text("x-mcp-header"); ok && len(path) > 0 {
		found = append(found, mirroredParameter{header: "Mcp-Param-" + name, path: path})
	}
	raw, _ := object.Get("properties")
	properties, err := strictjson.ParseObject(raw)
	if err != nil {
		return found
	}
	for _, property := range properties {
		found = append(found, mirrored(property.Value, append(slices.Clip(path), property.Key))...)
	}
	return found
}

// agreeParameters holds the Mcp-Param-* headers of a call against its
// arguments: a mirrored value must be there and equal, and a header without a
// value must not be.
func (s *Server) agreeParameters(header http.Header, m message) *protocolError {
	name, _ := m.params.Text("name")
	declared, ok := s.tools.Definition(name)
	if !ok {
		return nil // the call itself will say so
	}
	for _, parameter := range s.headersOf(declared) {
		if failure := agreeParameter(header, parameter, argument(m, parameter.path)); failure != nil {
			return failure
		}
	}
	return nil
}

// argument returns the value at path in the arguments, nil for none and null.
func argument(m message, path []string) json.RawMessage {
	value, _ := m.params.Get("arguments")
	for _, key := range path {
		object, err := strictjson.ParseObject(value)
		if err != nil {
			return nil
		}
		value, _ = object.Get(key)
	}
	if string(value) == "null" {
		return nil
	}
	return value
}

func agreeParameter(header http.Header, parameter mirroredParameter, value json.RawMessage) *protocolError {
	if value == nil {
		if len(header.Values(parameter.header)) > 0 {
			return headerMismatch("the header " + parameter.header + " is there, and its parameter is not")
		}
		return nil
	}
	written, failure := single(header, parameter.header)
	if failure != nil {
		return failure
	}
	decoded, err := decodeHeaderValue(written)
	if err != nil {
		return headerMismatch(parameter.header + " " + err.Error())
	}
	if !sameParameter(decoded, value) {
		return headerMismatch(fmt.Sprintf("%s is %q, the body says %s", parameter.header, clip(decoded), clip(string(value))))
	}
	return nil
}

// sameParameter compares texts as they are and numbers as numbers.
func sameParameter(written string, value json.RawMessage) bool {
	var v any
	if json.Unmarshal(value, &v) != nil {
		return false
	}
	switch v := v.(type) {
	case string:
		return written == v
	case bool:
		return written == strconv.FormatBool(v)
	case float64:
		number, err := strconv.ParseFloat(written, 64)
		return err == nil && number == v
	}
	return false
}
