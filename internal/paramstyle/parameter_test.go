package paramstyle

import (
	"encoding/json"
	"strings"
	"testing"
)

// The values of the table "Style Examples" in OpenAPI 3.2, section 4.12.2.
const (
	emptyText = `""`
	oneText   = `"blue"`
	someTexts = `["blue","black","brown"]`
	someKeys  = `{"R":100,"G":200,"B":150}`
)

// specification is that table, with the two rows that have no column there: a
// label without text, and what RFC 6570 calls undefined.
var specification = []struct {
	style                     Style
	explode                   bool
	empty, text, list, object string
}{
	{Matrix, false, ";color", ";color=blue", ";color=blue,black,brown", ";color=R,100,G,200,B,150"},
	{Matrix, true, ";color", ";color=blue", ";color=blue;color=black;color=brown", ";R=100;G=200;B=150"},
	{Label, false, ".", ".blue", ".blue,black,brown", ".R,100,G,200,B,150"},
	{Label, true, ".", ".blue", ".blue.black.brown", ".R=100.G=200.B=150"},
	{Simple, false, "", "blue", "blue,black,brown", "R,100,G,200,B,150"},
	{Simple, true, "", "blue", "blue,black,brown", "R=100,G=200,B=150"},
	{Form, false, "color=", "color=blue", "color=blue,black,brown", "color=R,100,G,200,B,150"},
	{Form, true, "color=", "color=blue", "color=blue&color=black&color=brown", "R=100&G=200&B=150"},
	{SpaceDelimited, false, "color=", "color=blue", "color=blue%20black%20brown", "color=R%20100%20G%20200%20B%20150"},
	{PipeDelimited, false, "color=", "color=blue", "color=blue%7Cblack%7Cbrown", "color=R%7C100%7CG%7C200%7CB%7C150"},
	{DeepObject, true, "color=", "color=blue", "color%5B%5D=blue&color%5B%5D=black&color%5B%5D=brown", "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"},
}

func TestReq072_StylesOfTheSpecification(t *testing.T) {
	for _, row := range specification {
		p := Parameter{Name: "color", Style: row.style, Explode: row.explode}
		write := p.Query
		if row.style == Matrix || row.style == Label || row.style == Simple {
			write = p.Path
		}
		for raw, want := range map[string]string{emptyText: row.empty, oneText: row.text, someTexts: row.list, someKeys: row.object} {
			got, err := write(json.RawMessage(raw))
			if err != nil || got != want {
				t.Errorf("%s, explode %v, %s = %q, %v; want %q", row.style, row.explode, raw, got, err, want)
			}
		}
	}
}

func TestReq072_HeaderStyles(t *testing.T) {
	for raw, want := range map[string][2]string{ // not exploded, exploded
		emptyText:                 {"", ""},
		`"blue and \"x\""`:        {`blue and "x"`, `blue and "x"`},
		someTexts:                 {"blue,black,brown", "blue,black,brown"},
		someKeys:                  {"R,100,G,200,B,150", "R=100,G=200,B=150"},
		`1e400`:                   {"1e400", "1e400"},
		`12345678901234567890.10`: {"12345678901234567890.10", "12345678901234567890.10"},
		`false`:                   {"false", "false"},
	} {
		for i, explode := range []bool{false, true} {
			got, sent, err := Parameter{Name: "X-Color", Explode: explode}.Header(json.RawMessage(raw))
			if err != nil || !sent || got != want[i] {
				t.Errorf("explode %v, %s = %q, %v, %v; want %q", explode, raw, got, sent, err, want[i])
			}
		}
	}
	for _, raw := range []string{`null`, `[]`, `{}`, `[null]`} {
		if got, sent, err := (Parameter{Name: "X"}).Header(json.RawMessage(raw)); sent || err != nil || got != "" {
			t.Errorf("%s = %q, %v, %v; want nothing sent", raw, got, sent, err)
		}
	}
}

func TestReq072_CookieStyles(t *testing.T) {
	for _, tc := range []struct {
		p         Parameter
		raw, want string
	}{
		{Parameter{Name: "color"}, emptyText, "color="},
		{Parameter{Name: "color"}, oneText, "color=blue"},
		{Parameter{Name: "color"}, someTexts, "color=blue%2Cblack%2Cbrown"},
		{Parameter{Name: "color"}, someKeys, "color=R%2C100%2CG%2C200%2CB%2C150"},
		{Parameter{Name: "color", Explode: true}, someTexts, "color=blue; color=black; color=brown"},
		{Parameter{Name: "color"}, `"a; b=\"\r\n\""`, "color=a%3B%20b%3D%22%0D%0A%22"},
		{Parameter{Name: "color", Style: Cookie}, oneText, "color=blue"},
		{Parameter{Name: "color", Style: Cookie, Explode: true}, someKeys, "R=100; G=200; B=150"},
		{Parameter{Name: "color", Style: Cookie}, `"a%20b"`, "color=a%20b"},
		{Parameter{Name: "color"}, `null`, ""},
	} {
		got, err := tc.p.Cookie(json.RawMessage(tc.raw))
		if err != nil || got != tc.want {
			t.Errorf("%+v, %s = %q, %v; want %q", tc.p, tc.raw, got, err, tc.want)
		}
	}
}

func TestReq072_QueryDetails(t *testing.T) {
	for name, tc := range map[string]struct {
		p         Parameter
		raw, want string
	}{
		"reserved characters":       {Parameter{Name: "q"}, `"a&b=c#d?e/f+g;h 100%"`, "q=a%26b%3Dc%23d%3Fe%2Ff%2Bg%3Bh%20100%25"},
		"reserved ones allowed":     {Parameter{Name: "q", AllowReserved: true}, `"a&b=c#d?e/f+g;h:i,j%2f 100%"`, "q=a%26b=c%23d?e/f%2Bg%3Bh:i,j%2f%20100%25"},
		"not ASCII":                 {Parameter{Name: "ñ"}, `"ñ\u0000"`, "%C3%B1=%C3%B1%00"},
		"the name":                  {Parameter{Name: "filter[a&b]"}, `1`, "filter%5Ba%26b%5D=1"},
		"commas in members":         {Parameter{Name: "q"}, `["a,b","c"]`, "q=a%2Cb,c"},
		"large numbers":             {Parameter{Name: "q"}, `9007199254740993`, "q=9007199254740993"},
		"numbers as written":        {Parameter{Name: "q"}, `[1.0,1e2,-0]`, "q=1.0,1e2,-0"},
		"booleans":                  {Parameter{Name: "q"}, `true`, "q=true"},
		"null":                      {Parameter{Name: "q"}, `null`, ""},
		"empty list":                {Parameter{Name: "q"}, `[]`, ""},
		"null members":              {Parameter{Name: "q", Explode: true}, `{"a":null,"b":1}`, "b=1"},
		"JSON content":              {Parameter{Name: "q", JSON: true}, "{\"a\" : [1, {\"b\":\"&\"}]}", "q=%7B%22a%22%3A%5B1%2C%7B%22b%22%3A%22%26%22%7D%5D%7D"},
		"exploded, space delimited": {Parameter{Name: "q", Style: SpaceDelimited, Explode: true}, `["a b","c"]`, "q=a%20b&q=c"},
		"deep objects nest":         {Parameter{Name: "q", Style: DeepObject}, `{"a":{"b":[1,2],"c":[{"d":1},{"d":2}]},"e":null}`, "q%5Ba%5D%5Bb%5D%5B%5D=1&q%5Ba%5D%5Bb%5D%5B%5D=2&q%5Ba%5D%5Bc%5D%5B0%5D%5Bd%5D=1&q%5Ba%5D%5Bc%5D%5B1%5D%5Bd%5D=2"},
		"keys of deep objects":      {Parameter{Name: "q", Style: DeepObject}, `{"a]&b":1}`, "q%5Ba%5D%26b%5D=1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.p.Query(json.RawMessage(tc.raw))
			if err != nil || got != tc.want {
				t.Errorf("got  %q, %v\nwant %q", got, err, tc.want)
			}
		})
	}
}

func TestReq072_RefusedValues(t *testing.T) {
	header := func(p Parameter) func(json.RawMessage) (string, error) {
		return func(raw json.RawMessage) (string, error) {
			text, _, err := p.Header(raw)
			return text, err
		}
	}
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	for name, tc := range map[string]struct {
		write     func(json.RawMessage) (string, error)
		raw, want string
	}{
		"query: nested list":               {Parameter{Name: "q"}.Query, `[[1]]`, "flat"},
		"query: nested object":             {Parameter{Name: "q", Explode: true}.Query, `{"a":{}}`, "flat"},
		"query: a space in a member":       {Parameter{Name: "q", Style: SpaceDelimited}.Query, `["a b"]`, "a space"},
		"query: a bar in a key":            {Parameter{Name: "q", Style: PipeDelimited}.Query, `{"a|b":1}`, "a vertical bar"},
		"query: a style of paths":          {Parameter{Name: "q", Style: Matrix}.Query, `1`, "style"},
		"query: not JSON":                  {Parameter{Name: "q"}.Query, `{`, "JSON"},
		"query: two values":                {Parameter{Name: "q"}.Query, `1 2`, "JSON"},
		"query: not UTF-8":                 {Parameter{Name: "q"}.Query, "\"\xff\"", "JSON"},
		"query: a key twice":               {Parameter{Name: "q", Style: DeepObject}.Query, `{"a":1,"\u0061":2}`, "twice"},
		"query: too deep":                  {Parameter{Name: "q", Style: DeepObject}.Query, deep, "deeper"},
		"header: line break":               {header(Parameter{Name: "X"}), `"a\r\nX-Admin: 1"`, "one line"},
		"header: in a member":              {header(Parameter{Name: "X"}), `["a","b\nc"]`, "one line"},
		"header: not ASCII":                {header(Parameter{Name: "X"}), `"ñ"`, "ASCII"},
		"header: space at the end":         {header(Parameter{Name: "X"}), `"a "`, "space"},
		"header: a comma in a member":      {header(Parameter{Name: "X"}), `["a,b"]`, "separate"},
		"header: a style of queries":       {header(Parameter{Name: "X", Style: Form}), `1`, "style"},
		"header: nested":                   {header(Parameter{Name: "X"}), `[[1]]`, "flat"},
		"cookie: a semicolon":              {Parameter{Name: "c", Style: Cookie}.Cookie, `"a;b"`, "cookie"},
		"cookie: a list in one":            {Parameter{Name: "c", Style: Cookie}.Cookie, `[1,2]`, "style"},
		"cookie: a style of paths":         {Parameter{Name: "c", Style: Simple}.Cookie, `1`, "style"},
		"cookie: nested":                   {Parameter{Name: "c"}.Cookie, `[[1]]`, "flat"},
		"path: a style of queries":         {Parameter{Name: "p", Style: Form}.Path, `1`, "style"},
		"path: nothing":                    {Parameter{Name: "p"}.Path, `null`, "empty"},
		"path: an empty list":              {Parameter{Name: "p"}.Path, `[]`, "empty"},
		"path: nested":                     {Parameter{Name: "p"}.Path, `[[1]]`, "flat"},
		"path: reserved does not mean any": {Parameter{Name: "p", AllowReserved: true}.Path, `"a/../b"`, "dot segment"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.write(json.RawMessage(tc.raw))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %q, %v; want an error with %q", got, err, tc.want)
			}
		})
	}
}
