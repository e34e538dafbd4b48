package diagnose

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// firstEvent reads an event stream up to the end of its first event, passing
// over comments and over notifications that come before an answer.
func firstEvent(r io.Reader) ([]byte, error) {
	var read []byte
	lines := bufio.NewReader(r)
	hasData := false
	for {
		line, err := lines.ReadString('\n')
		read = append(read, line...)
		switch {
		case strings.HasPrefix(line, "data:"):
			hasData = true
		case strings.TrimRight(line, "\r\n") == "" && hasData:
			if answers(read) {
				return read, nil
			}
			hasData = false
		}
		if errors.Is(err, io.EOF) {
			return read, nil
		}
		if err != nil {
			return read, err
		}
	}
}

// answers reports whether the last event is more than a notification.
func answers(events []byte) bool {
	name, data := lastEvent(events)
	return name == "endpoint" || !strings.Contains(data, `"method"`)
}

// lastEvent returns the name and the data of the last complete event.
func lastEvent(events []byte) (name, data string) {
	for block := range strings.SplitSeq(strings.ReplaceAll(string(events), "\r\n", "\n"), "\n\n") {
		var blockName string
		var lines []string
		for line := range strings.SplitSeq(block, "\n") {
			field, value, _ := strings.Cut(line, ":")
			value = strings.TrimPrefix(value, " ")
			switch field {
			case "event":
				blockName = value
			case "data":
				lines = append(lines, value)
			}
		}
		if len(lines) > 0 {
			name, data = blockName, strings.Join(lines, "\n")
		}
	}
	return name, data
}
