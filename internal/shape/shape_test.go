package shape

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestReq076_Filter(t *testing.T) {
	for name, tc := range map[string]struct {
		filter, input, want string
		err                 error
	}{
		"as it is":           {filter: ".", input: `{"b":[1,2.50,"<&>"],"a":null}`, want: `{"a":null,"b":[1,2.50,"<&>"]}`},
		"large numbers":      {filter: ".id", input: `{"id":12345678901234567890123}`, want: `12345678901234567890123`},
		"a list":             {filter: "[.teams[] | {id, name}]", input: `{"teams":[{"id":1,"name":"a","x":2}]}`, want: `[{"id":1,"name":"a"}]`},
		"no value":           {filter: ".[]", input: `[]`, err: ErrFilterCount},
		"two values":         {filter: ".[]", input: `[1,2]`, err: ErrFilterCount},
		"one of many":        {filter: ".[]", input: `[1]`, want: `1`},
		"failed":             {filter: ".a.b", input: `{"a":"private"}`, err: ErrFilterFailed},
		"failed second":      {filter: "1, error", input: `{}`, err: ErrFilterFailed},
		"without end":        {filter: "[repeat(1)]", input: `{}`, err: ErrFilterTime},
		"loop":               {filter: "def f: f; f", input: `{}`, err: ErrFilterTime},
		"large":              {filter: `"x" * 9000000`, input: `{}`, err: ErrFilterOutput},
		"nothing of the env": {filter: "env | length", input: `{}`, want: `0`},
		"not a number":       {filter: "nan", input: `{}`, want: `null`},
	} {
		t.Run(name, func(t *testing.T) {
			filter, err := Compile(tc.filter)
			if err != nil {
				t.Fatal(err)
			}
			got, err := filter.Apply(t.Context(), []byte(tc.input))
			if !errors.Is(err, tc.err) || string(got) != tc.want {
				t.Errorf("got %.100s, %v; want %s, %v", got, err, tc.want, tc.err)
			}
			if err != nil && strings.Contains(err.Error(), "private") {
				t.Errorf("the error repeats the answer: %v", err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	filter, err := Compile("[repeat(1)]")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := filter.Apply(ctx, []byte("{}")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v for a call that was canceled", err)
	}
}

func TestWrongFilters(t *testing.T) {
	for _, source := range []string{"", ".[", "nope", `import "a" as a; .`, `include "a"; .`, "$x", "input", "debug", strings.Repeat(" ", MaxFilter) + "."} {
		if _, err := Compile(source); err == nil {
			t.Errorf("%.20q is a filter", source)
		}
	}
}

func TestReq076_ItemsAndBytes(t *testing.T) {
	for name, tc := range map[string]struct {
		input        string
		items, bytes int
		want         string
		left         int
	}{
		"nothing to do":        {input: ` [1, 2] `, items: 2, bytes: 20, want: ` [1, 2] `},
		"first items":          {input: `[1, 2 ,3]`, items: 2, bytes: 20, want: `[1,2]`, left: 1},
		"of members":           {input: `{"a": [1,2,3], "n": 1.0, "b": [[1,2],[3],[]], "c": {"d": [1,2,3]}}`, items: 2, bytes: 99, want: `{"a":[1,2],"n":1.0,"b":[[1,2],[3]],"c":{"d": [1,2,3]}}`, left: 2},
		"bytes of items":       {input: `["aaa","bbb","ccc"]`, items: 9, bytes: 14, want: `["aaa","bbb"]`},
		"small members first":  {input: `{"list":["aaaa","bbbb","cccc"],"next":"x"}`, items: 9, bytes: 36, want: `{"list":["aaaa","bbbb"],"next":"x"}`},
		"a long text":          {input: `{"text":"` + strings.Repeat("ä", 50) + `","id":7}`, items: 9, bytes: 32, want: `{"text":"äääää…","id":7}`},
		"one text":             {input: `"` + strings.Repeat("\\n", 50) + `"`, items: 9, bytes: 10, want: `"\n\n…"`},
		"only a large item":    {input: `[{"id":1,"text":"` + strings.Repeat("x", 50) + `"}]`, items: 9, bytes: 32, want: `[{"id":1,"text":"xxxxxxxxx…"}]`},
		"no room for a number": {input: `123456`, items: 9, bytes: 3, want: ``},
		"hardly any room":      {input: `{"a":"bbbbbb"}`, items: 9, bytes: 2, want: `{}`},
		"white space":          {input: "    [1]    ", items: 9, bytes: 3, want: `[1]`},
	} {
		t.Run(name, func(t *testing.T) {
			got, left := Items(json.RawMessage(tc.input), tc.items)
			got, _ = Fit(got, tc.bytes)
			if string(got) != tc.want || left != tc.left {
				t.Errorf("got %s with %d left, want %s with %d", got, left, tc.want, tc.left)
			}
		})
	}
}

// What is left is valid JSON within the limit, and is part of what was there.
func FuzzReq076_Fit(f *testing.F) {
	for _, seed := range []string{`{"a":[1,2,{"b":"c\ud83d\ude00"}],"d":"xxxxxxxxxxxxxxx"}`, `["\u0000\u2028",null,true]`, `"\ud800"`, ` [ [ [ ] ] ] `, `{"a":1,"a":2}`} {
		f.Add([]byte(seed), 12, 2)
	}
	f.Fuzz(func(t *testing.T, raw []byte, limit, items int) {
		if !json.Valid(raw) || limit < 0 || items < 0 {
			return
		}
		shaped, left := Items(raw, items)
		if !json.Valid(shaped) || left < 0 || left == 0 && string(shaped) != string(raw) {
			t.Fatalf("Items(%q, %d) = %q, %d", raw, items, shaped, left)
		}
		got, cut := Fit(raw, limit)
		if len(got) > limit || got != nil && !json.Valid(got) {
			t.Errorf("Fit(%q, %d) = %q", raw, limit, got)
		}
		if fits := len(strings.TrimSpace(string(raw))) <= limit; cut == fits {
			t.Errorf("Fit(%q, %d) says cut: %v", raw, limit, cut)
		}
	})
}

func TestReq076_Text(t *testing.T) {
	for name, tc := range map[string]struct {
		body   string
		latin1 bool
		want   string
	}{
		"plain":              {body: "a\tb\r\nc", want: "a\tb\r\nc"},
		"escape sequence":    {body: "a\x1b[2J\x07b\x00", want: "a\ufffd[2J\ufffdb\ufffd"},
		"not UTF-8":          {body: "a\xff\xfeb", want: "a\ufffd\ufffdb"},
		"C1 controls":        {body: "a\u009bb\u007f", want: "a\ufffdb\ufffd"},
		"Latin-1":            {body: "caf\xe9\x9b", latin1: true, want: "café\ufffd"},
		"byte order mark":    {body: "\ufeffa", want: "a"},
		"surrogate in UTF-8": {body: "\xed\xa0\x80", want: "\ufffd\ufffd\ufffd"},
	} {
		if got := Text([]byte(tc.body), tc.latin1); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
	if got, cut := FitText("aäb", 2); got != "a" || !cut {
		t.Errorf("got %q, %v", got, cut)
	}
	if got, cut := FitText("aäb", 4); got != "aäb" || cut {
		t.Errorf("got %q, %v", got, cut)
	}
}

func FuzzReq076_Text(f *testing.F) {
	f.Add([]byte("a\xff\x1b\u009b"), true, 3)
	f.Fuzz(func(t *testing.T, body []byte, latin1 bool, limit int) {
		text, _ := FitText(Text(body, latin1), max(0, limit))
		control := func(r rune) bool { return r < 0x20 && !strings.ContainsRune("\n\r\t", r) || 0x7f <= r && r <= 0x9f }
		if !utf8.ValidString(text) || strings.ContainsFunc(text, control) || len(text) > max(0, limit) {
			t.Errorf("%q became %q", body, text)
		}
	})
}

func TestPages(t *testing.T) {
	for value, want := range map[string]string{
		`<https://api.example/teams?page=2>; rel="next", <https://api.example/teams?page=9>; rel="last"`: "https://api.example/teams?page=2",
		`<?a=1,2>; title="a, b; rel=next"; REL=last, </x?b=2>; rel="first NEXT"`:                         "/x?b=2",
		`</x>; rel=prev; rel=next`: "",
		`</x>`:                     "",
		`</x; rel=next`:            "",
		`next`:                     "",
		``:                         "",
	} {
		if got, found := Next([]string{value}); got != want || found != (want != "") {
			t.Errorf("%s: got %q, %v", value, got, found)
		}
	}
	for path, want := range map[string]string{"": `{"a":{"b":[ 1, 2]}}`, "a.b": "[ 1, 2]", "a.c": "", "a.b.c": ""} {
		got, found := At(json.RawMessage(`{"a":{"b":[ 1, 2]}}`), path)
		if string(got) != want || found != (want != "") {
			t.Errorf("%q: got %s, %v", path, got, found)
		}
	}
	items, ok := Array(json.RawMessage(` [ {"a" : 1.0} , "]" ] `))
	if got := string(Join(items)); !ok || got != `[{"a" : 1.0},"]"]` {
		t.Errorf("got %s, %v", got, ok)
	}
	if _, ok := Array(json.RawMessage(`{}`)); ok {
		t.Error("an object is an array")
	}
}
