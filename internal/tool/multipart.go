package tool

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/shape"
)

// maxFileName bounds the name of a file, in bytes: it is what file systems take.
const maxFileName = 255

// writeMultipart writes entries as parts of multipart/form-data (RFC 7578); a
// list becomes a part for each of its items, whatever they are (section 4.3, and
// OpenAPI 3.2 section 4.15: the type of a list's parts is that of its items).
func writeMultipart(entries []entry) (content []byte, contentType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, e := range entries {
		items := []json.RawMessage{e.value}
		if list, ok := shape.Array(e.value); ok {
			items = list
		}
		names, err := e.fileNames(len(items))
		if err != nil {
			return nil, "", err
		}
		for i, item := range items {
			if err := writePart(w, e.field, item, names[i]); err != nil {
				return nil, "", wrongField(e.argument, "cannot be written as a part: %s %v", quote(e.field.Write.Name), err)
			}
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return b.Bytes(), w.FormDataContentType(), nil
}

var errFile = errors.New("must be a file's content in Base64 with padding")

// writePart writes one part: a file of that name, a text, or JSON.
func writePart(w *multipart.Writer, field Field, value json.RawMessage, fileName string) error {
	if string(value) == "null" {
		return nil
	}
	disposition, contentType := multipart.FileContentDisposition(field.Write.Name, fileName), "application/octet-stream"
	var content []byte
	switch text := ""; {
	case field.Base64:
		if json.Unmarshal(value, &text) != nil {
			return errFile
		}
		var err error
		if content, err = base64.StdEncoding.DecodeString(text); err != nil {
			return errFile
		}
	default:
		disposition = strings.TrimSuffix(multipart.FileContentDisposition(field.Write.Name, ""), `; filename=""`)
		content, contentType = value, ""
		if value[0] == '"' && json.Unmarshal(value, &text) == nil {
			content = []byte(text)
		} else if value[0] == '{' || value[0] == '[' {
			contentType = "application/json"
		}
	}
	if field.ContentType != "" {
		contentType = field.ContentType
	}
	header := textproto.MIMEHeader{"Content-Disposition": {disposition}}
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	part, err := w.CreatePart(header)
	if err == nil {
		_, err = part.Write(content)
	}
	return err
}

// fileNames returns the names of the n parts of a field: each is what the caller
// gives it, or the one name that the caller gives for all, or the member's.
func (e entry) fileNames(n int) ([]string, error) {
	given, each := shape.Array(e.names)
	if each && len(given) != n {
		return nil, wrongField(e.field.Filename, "has %d names for %d files; give a name for each, or one text for all", len(given), n)
	}
	names := make([]string, n)
	for i := range names {
		raw := e.names
		if each {
			raw = given[i]
		}
		if names[i] = e.field.Write.Name; !isGiven(raw) {
			continue
		}
		var err error
		if names[i], err = fileName(raw); err != nil {
			return nil, wrongField(e.field.Filename, "%v", err)
		}
	}
	return names, nil
}

// isGiven reports whether there is an argument that says something.
func isGiven(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

var errFileName = fmt.Errorf("must be a file's name of at most %d bytes, such as report.pdf", maxFileName)

// fileName reads the name of a file, without the path and the characters that
// nobody sees that it may have come with: a receiver might follow them (RFC 7578
// section 4.2). Quotes are escaped where it is written.
func fileName(raw json.RawMessage) (string, error) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return "", errFileName
	}
	text = text[strings.LastIndexAny(text, `/\`)+1:]
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r != visible(r) {
			return -1
		}
		return r
	}, text))
	if text == "" || text == "." || text == ".." || len(text) > maxFileName {
		return "", errFileName
	}
	return text, nil
}
