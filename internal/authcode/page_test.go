package authcode

import (
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// element is one element of a parsed page.
type element struct {
	name   string
	attrs  map[string]string
	text   string
	inside []string // names of the elements around it
}

// parsePage reads a page as a browser with scripts does: what is inside
// noscript is text.
func parsePage(t *testing.T, page string) []element {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var elements []element
	var walk func(node *html.Node, inside []string)
	walk = func(node *html.Node, inside []string) {
		if node.Type == html.ElementNode {
			e := element{name: node.Data, attrs: map[string]string{}, inside: inside}
			for _, attr := range node.Attr {
				e.attrs[attr.Key] = attr.Val
			}
			for child := range node.ChildNodes() {
				if child.Type == html.TextNode {
					e.text += child.Data
				}
			}
			elements = append(elements, e)
			inside = append(slices.Clone(inside), node.Data)
		}
		for child := range node.ChildNodes() {
			walk(child, inside)
		}
	}
	walk(root, nil)
	return elements
}

func find(elements []element, name, attr, value string) []element {
	return slices.DeleteFunc(slices.Clone(elements), func(e element) bool {
		got, has := e.attrs[attr]
		return e.name != name || attr != "" && (!has || value != "" && got != value)
	})
}

func (s *system) page(language string) reply {
	s.t.Helper()
	browser := s.browser()
	got := s.get(browser, s.begin(browser), acceptPage, "Accept-Language", language)
	if got.StatusCode != http.StatusOK {
		s.t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	return got
}

func (s *system) issued() (access, refresh string) {
	s.as.mu.Lock()
	defer s.as.mu.Unlock()
	for access = range s.as.access {
	}
	for refresh = range s.as.refresh {
	}
	return access, refresh
}

var policy = regexp.MustCompile(`^default-src 'none'; style-src 'nonce-(\w{26})'; script-src 'nonce-(\w{26})'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'$`)

func TestReq096_PageHeaders(t *testing.T) {
	s := startSystem(t)
	refused := s.get(s.browser(), s.URL+"/auth/callback", acceptPage)
	nonces := map[string]bool{}
	for _, got := range []reply{s.page("en"), s.page("es"), refused} {
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
			"X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
			"Content-Type": "text/html; charset=utf-8", "Vary": "Accept, Accept-Language, Cookie",
		} {
			if got.Header.Get(name) != want {
				t.Errorf("%s: %q", name, got.Header.Get(name))
			}
		}
		match := policy.FindStringSubmatch(got.Header.Get("Content-Security-Policy"))
		if match == nil || match[1] != match[2] || nonces[match[1]] {
			t.Fatalf("Content-Security-Policy: %s", got.Header.Get("Content-Security-Policy"))
		}
		nonces[match[1]] = true
		for _, e := range parsePage(t, got.text) {
			if (e.name == "script" || e.name == "style") && e.attrs["nonce"] != match[1] {
				t.Errorf("a %s without the nonce would not run", e.name)
			}
		}
	}
	for _, accept := range []string{acceptJSON, acceptPage} {
		started := s.get(s.browser(), s.URL+"/auth/start", accept)
		if started.Header.Get("Cache-Control") != "no-store" || started.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("start: %v", started.Header)
		}
	}
}

func TestReq096_TokensAreHiddenAndThePageLoadsNothing(t *testing.T) {
	s := startSystem(t)
	got := s.page("en")
	access, refresh := s.issued()
	elements := parsePage(t, got.text)
	shown := 0
	for _, e := range elements {
		for attr, value := range e.attrs {
			if strings.Contains(value, access) || strings.Contains(value, refresh) {
				t.Errorf("<%s %s> holds a token", e.name, attr)
			}
			if slices.Contains([]string{"src", "srcset", "action", "data", "poster", "style"}, attr) || strings.HasPrefix(attr, "on") {
				t.Errorf("<%s> has %s", e.name, attr)
			}
		}
		if slices.Contains([]string{"link", "img", "iframe", "object", "embed", "form", "base", "a"}, e.name) {
			t.Errorf("there is a <%s>", e.name)
		}
		if strings.Contains(e.text, access) || strings.Contains(e.text, refresh) {
			if _, hidden := e.attrs["hidden"]; !hidden && e.name != "noscript" {
				t.Errorf("<%s> shows a token", e.name)
			}
			shown++
		}
	}
	if shown != 4 {
		t.Errorf("tokens are in %d elements, want the hidden and the noscript one of each", shown)
	}
	for _, e := range find(elements, "noscript", "", "") {
		if !strings.HasPrefix(strings.TrimSpace(e.text), "<details><summary>") {
			t.Errorf("without scripts a token is not closed: %s", e.text)
		}
	}
	for name, values := range got.Header {
		if strings.Contains(strings.Join(values, " "), access) {
			t.Errorf("the header %s holds the token", name)
		}
	}
	if strings.Contains(got.text, "http://www") || strings.Contains(got.text, "//cdn") {
		t.Error("the page names other sites")
	}
}

func TestReq096_PageWorksByKeyboardAndScreenReader(t *testing.T) {
	s := startSystem(t)
	elements := parsePage(t, s.page("en").text)
	ids := map[string]int{}
	for _, e := range elements {
		if id := e.attrs["id"]; id != "" {
			ids[id]++
		}
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("the id %s is there %d times", id, n)
		}
	}
	for _, e := range elements {
		for _, attr := range []string{"aria-controls", "aria-describedby", "aria-labelledby", "data-show", "data-copy"} {
			if value, has := e.attrs[attr]; has && ids[value] != 1 {
				t.Errorf("<%s %s=%q> points at nothing", e.name, attr, value)
			}
		}
		if e.name == "button" && (e.attrs["type"] != "button" || strings.TrimSpace(e.text) == "") {
			t.Errorf("button %v %q", e.attrs, e.text)
		}
	}
	if len(find(elements, "button", "data-show", "")) != 2 || len(find(elements, "button", "aria-expanded", "false")) != 2 {
		t.Error("no Show button for each token")
	}
	if len(find(elements, "p", "aria-live", "polite")) != 1 || len(find(elements, "main", "", "")) != 1 || len(find(elements, "h1", "", "")) != 1 {
		t.Error("live region, main or h1 is missing")
	}
	if len(find(elements, "meta", "name", "viewport")) != 1 {
		t.Error("no viewport: 320 px would not be")
	}
}

func TestPageSaysWhoWhatAndWhere(t *testing.T) {
	s := startSystem(t)
	s.subject = "auth0|user-7"
	got := s.page("en")
	text := html.UnescapeString(got.text)
	for _, want := range []string{
		"auth0|user-7", "openid offline_access teams:read", "<time datetime=",
		`claude mcp add --transport http otus ` + s.URL + `/mcp --header "Authorization: Bearer $OTUS_TOKEN"`,
		`codex mcp add otus --url ` + s.URL + `/mcp --bearer-token-env-var OTUS_TOKEN`,
		`"Authorization": "Bearer ${input:otus-token}"`, `"url": "` + s.URL + `/mcp"`,
		`npx @modelcontextprotocol/inspector --cli`, `curl ` + s.URL + `/mcp`,
		`curl ` + s.URL + `/auth/refresh --data-urlencode "refresh_token=$OTUS_REFRESH_TOKEN"`,
		`history.replaceState(null, "", location.pathname)`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	s.as.set(func(k *knobs) { k.noRefreshToken = true })
	if text := s.page("en").text; strings.Contains(text, "refresh_token") || strings.Contains(text, "Refresh token") {
		t.Error("speaks of a refresh token that is not there")
	}
}

func TestPageLanguages(t *testing.T) {
	s := startSystem(t)
	for header, want := range map[string]string{
		"": "en", "en": "en", "es": "es", "es-MX,es;q=0.9,en;q=0.8": "es", "en-GB,es;q=0.5": "en",
		"fr, es;q=0.3, en;q=0.7": "en", "ES": "es", "es;q=0": "en", "de": "en", ";;;q=,,": "en", "es;q=2": "en",
	} {
		got := s.get(s.browser(), s.URL+"/auth/callback", acceptPage, "Accept-Language", header)
		elements := parsePage(t, got.text)
		if len(find(elements, "html", "lang", want)) != 1 || got.Header.Get("Content-Language") != want {
			t.Errorf("%q: want %s: %s", header, want, got.text)
		}
		if strings.Contains(got.text, "Empezar de nuevo") != (want == "es") || strings.Contains(got.text, "Start again") != (want == "en") {
			t.Errorf("%q: wrong words", header)
		}
	}
	if !strings.Contains(s.page("es").text, "Token de acceso") {
		t.Error("the token page is not in Spanish")
	}
	for language, text := range wordings {
		for i := range reflect.TypeFor[wording]().NumField() {
			if reflect.ValueOf(text).Field(i).String() == "" {
				t.Errorf("%s: %s is empty", language, reflect.TypeFor[wording]().Field(i).Name)
			}
		}
	}
}

func TestPageOrJSON(t *testing.T) {
	s := startSystem(t)
	for accept, want := range map[string]struct{ success, refusal string }{
		acceptPage:                         {"text/html", "text/html"},
		acceptJSON:                         {"application/json", "application/json"},
		"*/*":                              {"text/html", "application/json"},
		"":                                 {"text/html", "application/json"},
		"text/html;q=0.5,application/json": {"application/json", "application/json"},
		"application/json;q=0.5,text/*":    {"text/html", "text/html"},
	} {
		browser := s.browser()
		got := s.get(browser, s.begin(browser), accept)
		refused := s.get(s.browser(), s.URL+"/auth/callback", accept)
		if !strings.HasPrefix(got.Header.Get("Content-Type"), want.success) || !strings.HasPrefix(refused.Header.Get("Content-Type"), want.refusal) {
			t.Errorf("%q: %s and %s", accept, got.Header.Get("Content-Type"), refused.Header.Get("Content-Type"))
		}
		if got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%q: cached", accept)
		}
	}
}

func TestErrorPageLeadsBack(t *testing.T) {
	s := startSystem(t)
	got := s.get(s.browser(), s.URL+"/auth/callback?code=x&state=y", acceptPage)
	elements := parsePage(t, got.text)
	if len(find(elements, "a", "href", s.URL+"/auth/start")) != 1 || len(find(elements, "p", "role", "alert")) != 1 {
		t.Error(got.text)
	}
	if !strings.Contains(s.logs.String(), reasonNoAttempt) {
		t.Error("the log does not know of the page")
	}
}
