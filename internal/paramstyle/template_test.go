package paramstyle

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

func TestReq071_ValuesCannotChangeTheRoute(t *testing.T) {
	template, err := ParseTemplate("/teams/{id}/members")
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		`"a b"`:                   "/teams/a%20b/members",
		`"a?b#c"`:                 "/teams/a%3Fb%23c/members",
		`"..."`:                   "/teams/.../members",
		`".a"`:                    "/teams/.a/members",
		`"a;b=c"`:                 "/teams/a%3Bb%3Dc/members",
		`"100%"`:                  "/teams/100%25/members",
		`"%41"`:                   "/teams/%2541/members",
		`"ñ@:&+"`:                 "/teams/%C3%B1%40%3A%26%2B/members",
		`12e3`:                    "/teams/12e3/members",
		`["a","b"]`:               "/teams/a,b/members",
		`"{id}"`:                  "/teams/%7Bid%7D/members",
		`"//"`:                    "slash",
		`"a/b"`:                   "slash",
		`"a%2fb"`:                 "slash",
		`"a%252Fb"`:               "slash",
		`["a","/"]`:               "slash",
		`{"/":1}`:                 "slash",
		`"a\\b"`:                  "backslash",
		`"%5c"`:                   "backslash",
		`"."`:                     "segment",
		`".."`:                    "segment",
		`"%2e%2E"`:                "segment",
		`"..;a"`:                  "segment",
		`"%252e."`:                "segment",
		`"a\u0000"`:               "control",
		`"a\r\n"`:                 "control",
		`"\u007f"`:                "control",
		`"%00"`:                   "control",
		`"a%0d%0ab"`:              "control",
		`""`:                      "empty",
		`"%25252525252525252525"`: "percent-encoded",
	} {
		got, err := expand(template, Parameter{Name: "id"}, value)
		if strings.HasPrefix(want, "/") && (err != nil || got != want) || !strings.HasPrefix(want, "/") && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s = %q, %v; want %q", value, got, err, want)
		}
	}
}

func expand(template Template, p Parameter, raw string) (string, error) {
	piece, err := p.Path(json.RawMessage(raw))
	if err != nil {
		return "", err
	}
	return template.Expand(map[string]string{p.Name: piece})
}

// OpenAPI 3.2 lets reserved characters stay, but for slashes, question marks and
// hashes ("Path Templating"): those are sent encoded.
func TestReservedCharactersInPaths(t *testing.T) {
	template, err := ParseTemplate("/files/{path}")
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		`"a/b.txt"`:    "/files/a%2Fb.txt",
		`"a?b#c:d"`:    "/files/a%3Fb%23c:d",
		`"a%2Fb"`:      "/files/a%2Fb",
		`"a/../b"`:     "",
		`"a/%2e./b"`:   "",
		`"a%2F..%2Fb"`: "",
		`".."`:         "",
		`"a\\b"`:       "",
	} {
		got, err := expand(template, Parameter{Name: "path", AllowReserved: true}, value)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s = %q, %v; want %q", value, got, err, want)
		}
	}
}

func TestReq071_SegmentsOfManyParts(t *testing.T) {
	for _, tc := range []struct {
		template string
		pieces   map[string]string
		want     string // "" for an error
	}{
		{"/", nil, "/"},
		{"/a/", nil, "/a/"},
		{"/{a}.{b}", map[string]string{"a": "x", "b": "json"}, "/x.json"},
		{"/{a}{b}", map[string]string{"a": "", "b": ""}, ""},
		{"/{a}.{b}", map[string]string{"a": "", "b": ""}, ""},
		{"/{a}{b}", map[string]string{"a": ".", "b": "."}, ""},
		{"/{a}{b}", map[string]string{"a": "..", "b": ";b=1"}, ""},
		{"/{a}", map[string]string{"b": "x"}, ""},
		{"/{a}", map[string]string{"a": "x/y"}, ""},
		{"/{a}", map[string]string{"a": "x?y"}, ""},
		{"/v1/{name}:cancel", map[string]string{"name": "op"}, "/v1/op:cancel"},
		{"/a%20b/{c}", map[string]string{"c": "d"}, "/a%20b/d"},
	} {
		template, err := ParseTemplate(tc.template)
		if err != nil {
			t.Fatalf("%s: %v", tc.template, err)
		}
		got, err := template.Expand(tc.pieces)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%s with %v = %q, %v; want %q", tc.template, tc.pieces, got, err, tc.want)
		}
	}
}

func TestTemplatesThatAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "teams", "//", "/a//b", "/../a", "/a/.", "/a/..;x", "/%2e%2e/a", "/a%2fb", "/a?b=c", "/a#b", "/a b", "/a\\b", "/ñ",
		"/{", "/{}", "/{a", "/a}", "/{a{b}}", "/a\x00", "/100%",
	} {
		if _, err := ParseTemplate(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
	template, err := ParseTemplate("/a/{b}/{c}.{d}/e")
	if err != nil || strings.Join(template.Names(), ",") != "b,c,d" {
		t.Errorf("names %q, %v", template.Names(), err)
	}
}

// Whatever is accepted, the URL has the template's host and segments when it is
// read again, and the segment decodes to the value.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"a", "a b", "..", "%2e%2e", "a/b", "a%2fb", "%252f", "a?b#c", "..;", "\\", "\x00", "ñ", "//evil.example", "@evil.example", ".%2e", "%c0%af"} {
		f.Add(seed, false, true)
	}
	template, err := ParseTemplate("/v1/{id}/members/{rest}.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, reserved, explode bool) {
		raw, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var sent string // JSON has replaced what is not UTF-8
		if err := json.Unmarshal(raw, &sent); err != nil {
			t.Fatal(err)
		}
		for _, style := range []Style{Simple, Label, Matrix} {
			p := Parameter{Name: "id", Style: style, Explode: explode, AllowReserved: reserved}
			piece, err := p.Path(raw)
			if err != nil {
				continue
			}
			path, err := template.Expand(map[string]string{"id": piece, "rest": "x"})
			if err != nil {
				continue
			}
			u, err := url.Parse("https://api.example.com/base" + path)
			if err != nil {
				t.Fatalf("%q became %q: %v", text, path, err)
			}
			segments := strings.Split(u.EscapedPath(), "/")
			if u.Host != "api.example.com" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil || len(segments) != 6 ||
				segments[1] != "base" || segments[2] != "v1" || segments[4] != "members" || segments[5] != "x.json" {
				t.Fatalf("%q became %q", text, u)
			}
			if joined := u.JoinPath(); joined.EscapedPath() != u.EscapedPath() {
				t.Fatalf("%q became %q, which cleans to %q", text, u.EscapedPath(), joined.EscapedPath())
			}
			decoded, err := url.PathUnescape(segments[3])
			if err != nil {
				t.Fatal(err)
			}
			prefix := map[Style]string{Simple: "", Label: ".", Matrix: ";id="}[style]
			if sent == "" {
				prefix = strings.TrimSuffix(prefix, "=")
			}
			if want := prefix + sent; !reserved && decoded != want {
				t.Fatalf("%q became %q, which decodes to %q", text, segments[3], decoded)
			}
		}
	})
}
