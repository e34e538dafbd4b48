package wireschema

import "strings"

// Event is one server-sent event.
type Event struct {
	Name string // "message" when the stream gives none
	Data string
}

// Events reads a stream as a browser does (WHATWG HTML, "Parsing an event
// stream"): any line end, several data lines joined, comments and unknown
// fields passed over, an event without data and an unfinished one dropped.
func Events(stream string) []Event {
	var events []Event
	var name string
	var data []string
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(stream, "\uFEFF")), "\n")
	for _, line := range lines[:len(lines)-1] { // what has no line end is not there yet
		if line == "" {
			if data != nil {
				events = append(events, Event{Name: nameOr(name, "message"), Data: strings.Join(data, "\n")})
			}
			name, data = "", nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "data":
			data = append(data, value)
		}
	}
	return events
}

func nameOr(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}
