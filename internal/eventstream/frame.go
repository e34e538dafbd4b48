package eventstream

import "bytes"

// keepAliveComment is what clients ignore and proxies count as traffic.
var keepAliveComment = []byte(": keep-alive\n\n")

// Event returns one event. The name is this program's own and has no line end.
// Line ends in data are legal there and nowhere else: each line becomes a data
// field of its own, so that nothing in data can end the event or begin another.
func Event(name string, data []byte) []byte {
	frame := make([]byte, 0, len("event: \ndata: \n\n")+len(name)+len(data))
	frame = append(frame, "event: "...)
	frame = append(frame, name...)
	for more := true; more; {
		var line []byte
		line, data, more = cutLine(data)
		frame = append(frame, "\ndata: "...)
		frame = append(frame, line...)
	}
	return append(frame, "\n\n"...)
}

// Message returns an event of the name "message".
func Message(data []byte) []byte { return Event("message", data) }

// cutLine cuts data after its first line, which CR LF, LF or CR end. It reports
// whether there was an end.
func cutLine(data []byte) (line, rest []byte, found bool) {
	at := bytes.IndexAny(data, "\r\n")
	if at < 0 {
		return data, nil, false
	}
	line, rest = data[:at], data[at+1:]
	if data[at] == '\r' && len(rest) > 0 && rest[0] == '\n' {
		rest = rest[1:]
	}
	return line, rest, true
}
