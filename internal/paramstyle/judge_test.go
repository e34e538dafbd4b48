package paramstyle

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/yosida95/uritemplate/v3"
)

// FuzzQuery reads every query again with net/url, and holds the styles that
// RFC 6570 defines against an implementation of RFC 6570 that is not ours.
func FuzzQuery(f *testing.F) {
	f.Add("q", "a&b=c#d", "e,f", true)
	f.Add("filter[a]", "", " ", false)
	f.Add("a=b;c", "\r\n", "ñ|%2f+", true)
	f.Fuzz(func(t *testing.T, name, first, second string, explode bool) {
		name, first, second = strings.ToValidUTF8(name, "?"), strings.ToValidUTF8(first, "?"), strings.ToValidUTF8(second, "?")
		for _, style := range []Style{Form, SpaceDelimited, PipeDelimited, DeepObject} {
			for _, reserved := range []bool{false, true} {
				p := Parameter{Name: name, Style: style, Explode: explode, AllowReserved: reserved}
				text, err := p.Query(marshal(t, first))
				if err != nil {
					t.Fatal(err)
				}
				wantQuery(t, text, url.Values{name: {first}}, reserved)
			}
		}
		wantQuery(t, query(t, Parameter{Name: name, Explode: true}, []string{first, second}), url.Values{name: {first, second}}, false)
		wantQuery(t, query(t, Parameter{Name: name, Style: DeepObject}, map[string]string{first: second}), url.Values{name + "[" + first + "]": {second}}, false)
		wantQuery(t, query(t, Parameter{Name: name, Explode: true}, map[string]string{first: second}), url.Values{first: {second}}, false)

		// The judge is asked for what it gets right itself: it leaves keys as they
		// are, forgets the sign after a key whose value is empty, drops NUL, and
		// takes Latin-1 for octets.
		if second == "" || strings.ContainsFunc(first+second, func(r rune) bool { return r < 0x20 || r >= 0x7f }) {
			return
		}
		list, keys := uritemplate.List(first, second), uritemplate.KV("key", second)
		for operator, write := range map[string]func(Parameter, json.RawMessage) (string, error){
			"?": func(p Parameter, raw json.RawMessage) (string, error) {
				text, err := p.Query(raw)
				return "?" + text, err
			},
			"":  Parameter.Path,
			".": func(p Parameter, raw json.RawMessage) (string, error) { p.Style = Label; return p.Path(raw) },
			";": func(p Parameter, raw json.RawMessage) (string, error) { p.Style = Matrix; return p.Path(raw) },
		} {
			for modifier, explode := range map[string]bool{"": false, "*": true} {
				template := uritemplate.MustNew("{" + operator + "v" + modifier + "}")
				p := Parameter{Name: "v", Explode: explode}
				judge(t, template, uritemplate.String(first), p, write, first)
				judge(t, template, list, p, write, []string{first, second})
				judge(t, template, keys, p, write, map[string]string{"key": second})
			}
		}
	})
}

func marshal(t *testing.T, v any) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func query(t *testing.T, p Parameter, v any) string {
	t.Helper()
	text, err := p.Query(marshal(t, v))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// wantQuery reads text as the query of a URL. Where reserved characters are
// allowed, what looks percent-encoded is taken as such, so the values are
// compared decoded.
func wantQuery(t *testing.T, text string, want url.Values, reserved bool) {
	t.Helper()
	u, err := url.Parse("https://api.example.com/find?" + text)
	if err != nil || u.Host != "api.example.com" || u.Path != "/find" || u.Fragment != "" || u.RawQuery != text {
		t.Fatalf("%q: read as %+v, %v", text, u, err)
	}
	got, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if reserved {
		for name, values := range want {
			if len(got) != 1 || len(got[name]) != 1 || len(values) == 1 && got[name][0] != decodeTriples(values[0]) {
				t.Fatalf("%q: read as %q, want %q", text, got, want)
			}
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%q (-want +got):\n%s", text, diff)
	}
}

// judge compares with an expansion of RFC 6570. What paths refuse is not
// compared.
func judge(t *testing.T, template *uritemplate.Template, v uritemplate.Value, p Parameter, write func(Parameter, json.RawMessage) (string, error), argument any) {
	t.Helper()
	got, err := write(p, marshal(t, argument))
	if err != nil {
		return
	}
	want, err := template.Expand(uritemplate.Values{"v": v})
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("%s with %v = %q, want %q", template.Raw(), argument, got, want)
	}
}

// FuzzHeaderAndCookie lets net/http read what was written.
func FuzzHeaderAndCookie(f *testing.F) {
	f.Add("a", "b")
	f.Add("a\r\nX-Admin: 1", "b; c=d")
	f.Add(`"quoted", and`, "ñ ")
	f.Fuzz(func(t *testing.T, first, second string) {
		first, second = strings.ToValidUTF8(first, "?"), strings.ToValidUTF8(second, "?")
		if text, sent, err := (Parameter{Name: "X"}).Header(marshal(t, first)); err == nil {
			if !sent || text != first || strings.ContainsAny(text, "\r\n\x00") {
				t.Errorf("header %q = %q", first, text)
			}
		}
		if text, _, err := (Parameter{Name: "X"}).Header(marshal(t, []string{first, second})); err == nil && len(strings.Split(text, ",")) != 2 {
			t.Errorf("header %q = %q", []string{first, second}, text)
		}
		text, err := Parameter{Name: "c", Explode: true}.Cookie(marshal(t, []string{first, second}))
		if err != nil {
			t.Fatal(err)
		}
		cookies, err := http.ParseCookie(text)
		if err != nil || len(cookies) != 2 {
			t.Fatalf("cookie %q: %v, %v", text, cookies, err)
		}
		for i, want := range []string{first, second} {
			value, err := url.PathUnescape(cookies[i].Value)
			if err != nil || cookies[i].Name != "c" || value != want {
				t.Errorf("cookie %q = %q", want, cookies[i])
			}
		}
		if text, err := (Parameter{Name: "c", Style: Cookie}).Cookie(marshal(t, first)); err == nil {
			if cookies, err := http.ParseCookie(text); err != nil || fmt.Sprint(cookies) != fmt.Sprintf("[c=%s]", first) {
				t.Errorf("cookie %q = %q, %v", text, cookies, err)
			}
		}
	})
}
