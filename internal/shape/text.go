package shape

import (
	"strings"
	"unicode/utf8"
)

// Text returns a body as text: what is not UTF-8 and the control characters that
// could drive a terminal become U+FFFD. Latin1 says that the body is in
// ISO-8859-1 instead of UTF-8.
func Text(body []byte, latin1 bool) string {
	text := string(body)
	if latin1 {
		runes := make([]rune, len(body))
		for i, b := range body {
			runes[i] = rune(b)
		}
		text = string(runes)
	}
	text = strings.TrimPrefix(text, "\ufeff") // a byte order mark is no text
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\r' && r != '\t' || 0x7f <= r && r <= 0x9f {
			return utf8.RuneError
		}
		return r // of an invalid byte it is RuneError already
	}, text)
}

// FitText returns text itself when it has at most limit bytes, and otherwise its
// beginning, cut between two characters.
func FitText(text string, limit int) (result string, cut bool) {
	if len(text) <= limit {
		return text, false
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit], true
}
