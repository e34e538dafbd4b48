package upstream

import (
	"net/url"
	"strings"
	"testing"
)

func mustBase(tb testing.TB, text string) *url.URL {
	tb.Helper()
	base, err := parseBase(text, false)
	if err != nil {
		tb.Fatal(err)
	}
	return base
}

func TestReq071_PathsStayBelowTheBase(t *testing.T) {
	const base = "https://api.example.com:8443/otus"
	for ref, want := range map[string]string{
		"/teams":             base + "/teams",
		"/teams/":            base + "/teams/",
		"/":                  base + "/",
		"/teams?page=2&q=%2": base + "/teams?page=2&q=%2", // the API's to read
		"/a%20b":             base + "/a%20b",
		"/a%3Fb%23c":         base + "/a%3Fb%23c",
		"/...":               base + "/...",
		"/a.b":               base + "/a.b",
		"/u@h:1":             base + "/u@h:1",
		"/t%C3%B6":           base + "/t%C3%B6",

		"":                           "",
		"teams":                      "",
		"//evil.example/teams":       "",
		"/teams//x":                  "",
		"https://evil.example/teams": "",
		"/..":                        "",
		"/../admin":                  "",
		"/teams/../../admin":         "",
		"/.":                         "",
		"/%2e%2e/admin":              "",
		"/%2E%2e":                    "",
		"/.%2e/admin":                "",
		"/..;/admin":                 "",
		"/..;a=b/admin":              "",
		"/teams%2f..%2fadmin":        "",
		"/teams%2Fx":                 "",
		"/%252e%252e/admin":          "",
		"/a%5cb":                     "",
		`/a\b`:                       "",
		"/a%00":                      "",
		"/a%0d%0aX-Evil:1":           "",
		"/a%7f":                      "",
		"/a%ff":                      "",
		"/a%c2%85":                   "",
		"/teams#fragment":            "",
		"mailto:x":                   "",
		"//user@/x":                  "",
	} {
		u, err := url.Parse(ref)
		if err != nil {
			t.Fatalf("%q: %v", ref, err)
		}
		got, err := join(mustBase(t, base), u)
		switch {
		case want == "" && err == nil:
			t.Errorf("join(%q) = %s, want an error", ref, got)
		case want != "" && (err != nil || got.String() != want):
			t.Errorf("join(%q) = %v, %v, want %s", ref, got, err, want)
		}
	}
}

// A URL that was put together in Go can say what no text parses to.
func TestJoinRefusesURLsNoTextHas(t *testing.T) {
	for name, ref := range map[string]*url.URL{
		"nil":                  nil,
		"host":                 {Host: "evil.example", Path: "/x"},
		"user":                 {User: url.User("u"), Path: "/x"},
		"opaque":               {Opaque: "//evil.example/x"},
		"dots in path":         {Path: "/a/../../x"},
		"lying raw path":       {Path: "/../x", RawPath: "/y"},
		"encoded by raw path":  {Path: "/a/b", RawPath: "/a%2fb"},
		"space in query":       {Path: "/x", RawQuery: "a b"},
		"newline in query":     {Path: "/x", RawQuery: "a\r\nX-Evil: 1"},
		"fragment in query":    {Path: "/x", RawQuery: "a#b"},
		"not ASCII in a query": {Path: "/x", RawQuery: "\u00f6"},
	} {
		if got, err := join(mustBase(t, "https://api.example.com/otus"), ref); err == nil {
			t.Errorf("%s: got %s, want an error", name, got)
		}
	}
}

func FuzzJoin(f *testing.F) {
	for _, seed := range []string{"/teams", "/..;/x", "/%2e%2e/x", "//evil", "/a?b#c", `/\evil`, "/@evil", ":80/x", "/%"} {
		f.Add(seed, "a=b")
	}
	bases := []string{"https://api.example.com", "https://api.example.com:8443/otus", "https://api.example.com/a/b/"}
	f.Fuzz(func(t *testing.T, path, query string) {
		refs := []*url.URL{{Path: path, RawQuery: query}, {Path: path, RawPath: path, RawQuery: query}}
		if u, err := url.Parse(path); err == nil {
			refs = append(refs, u)
		}
		for _, text := range bases {
			base := mustBase(t, text)
			for _, ref := range refs {
				checkJoined(t, base, ref)
			}
		}
	})
}

func checkJoined(t *testing.T, base, ref *url.URL) {
	t.Helper()
	got, err := join(base, ref)
	if err != nil {
		return
	}
	again, err := url.Parse(got.String())
	if err != nil {
		t.Fatalf("join(%#v) = %q, which does not parse: %v", ref, got, err)
	}
	if again.Scheme != base.Scheme || again.Host != base.Host || again.User != nil || again.Fragment != "" {
		t.Errorf("join(%#v) = %q leaves %s", ref, got, base)
	}
	// What a server makes of it that resolves dots and decodes twice.
	twice, err := url.PathUnescape(again.Path)
	if err != nil {
		twice = again.Path
	}
	resolved := (&url.URL{Path: "/"}).ResolveReference(&url.URL{Path: twice}).Path
	if !strings.HasPrefix(resolved, base.Path+"/") || strings.ContainsAny(again.Path, "\\\r\n\x00") {
		t.Errorf("join(%#v) = %q is not below %s", ref, got, base)
	}
}
