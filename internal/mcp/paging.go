package mcp

import (
	"encoding/json"
	"strconv"
)

// pageSize is how many entries a list answers with at once.
const pageSize = 100

// page returns the part of items that a list request asks for, and the cursor
// of the next part, "" at the end. Cursors are sealed, so that a client can
// only go on where it was: what they hold is not its business.
func page[T any](s *Server, c call, items []T) (part []T, next string, failure *protocolError) {
	offset := 0
	if raw, there := c.message.params.Get("cursor"); there && string(raw) != "null" {
		var cursor string
		if json.Unmarshal(raw, &cursor) != nil {
			return nil, "", unknownCursor()
		}
		plain, ok := s.cursors.Open(cursor, c.message.method)
		if !ok {
			return nil, "", unknownCursor()
		}
		var err error
		if offset, err = strconv.Atoi(string(plain)); err != nil || offset < 0 || offset > len(items) {
			return nil, "", unknownCursor()
		}
	}
	end := min(offset+pageSize, len(items))
	if end < len(items) {
		next = s.cursors.Seal([]byte(strconv.Itoa(end)), c.message.method)
	}
	return items[offset:end], next, nil
}

func unknownCursor() *protocolError {
	return invalidParams("Invalid params: unknown cursor; begin again without one")
}
