package devstack

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestPromptAndLoginHint(t *testing.T) {
	const page = "page"
	tests := []struct {
		name    string
		signIn  string // the stack's own
		session string // who signed in and consented before
		change  []string
		want    string // "page", "code:PERSON" or the error
	}{
		{"nobody", "", "", nil, page},
		{"nobody, none", "", "", []string{"prompt", "none"}, "login_required"},
		{"session", "", "ana", nil, "code:ana"},
		{"session, none", "", "ana", []string{"prompt", "none"}, "code:ana"},
		{"session, same hint", "", "ana", []string{"login_hint", "ana"}, "code:ana"},
		{"session, same hint by mail, none", "", "ana", []string{"login_hint", "ana@example.com", "prompt", "none"}, "code:ana"},
		{"session, other hint", "", "ana", []string{"login_hint", "bruno"}, page},
		{"session, other hint, none", "", "ana", []string{"login_hint", "bruno", "prompt", "none"}, "login_required"},
		{"session, unknown hint, none", "", "ana", []string{"login_hint", "x@y.example", "prompt", "none"}, "login_required"},
		{"session, login", "", "ana", []string{"prompt", "login"}, page},
		{"session, consent", "", "ana", []string{"prompt", "consent"}, page},
		{"session, select_account", "", "ana", []string{"prompt", "select_account"}, page},
		{"session, max_age", "", "ana", []string{"max_age", "0"}, page},
		{"session, max_age, none", "", "ana", []string{"max_age", "0", "prompt", "none"}, "login_required"},
		{"session, more scopes", "", "ana", []string{"scope", "openid teams:read"}, page},
		{"session, more scopes, none", "", "ana", []string{"scope", "openid teams:read", "prompt", "none"}, "consent_required"},
		{"session, other resource, none", "", "ana", []string{"resource", testServer + "/mcp/sse", "prompt", "none"}, "consent_required"},
		{"permanent", "carla", "", nil, "code:carla"},
		{"permanent, none", "carla", "", []string{"prompt", "none"}, "code:carla"},
		{"permanent, consent", "carla", "", []string{"prompt", "consent"}, "code:carla"},
		{"permanent, other hint", "carla", "", []string{"login_hint", "ana"}, page},
		{"permanent, other hint, none", "carla", "", []string{"login_hint", "ana", "prompt", "none"}, "login_required"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stack := start(t, func(c *Config) { c.SignIn = tt.signIn })
			v := newVisitor(t, stack)
			if tt.session != "" {
				v.signIn(tt.session, request())
			}
			got := v.authorize(request(tt.change...))
			switch person, code := strings.CutPrefix(tt.want, "code:"); {
			case tt.want == page:
				if got.status != http.StatusOK || !strings.Contains(got.body, "<form") {
					t.Errorf("no page: %d %s", got.status, got.location)
				}
			case code:
				tokens, answer := v.tokens(redeeming(got.callback.Get("code")))
				if answer.status != http.StatusOK {
					t.Fatalf("no code: %d %s %s", got.status, got.location, answer.body)
				}
				if _, claims := open(t, stack, tokens.AccessToken); claims["sub"] != "auth0|"+person {
					t.Errorf("signed in as %v", claims["sub"])
				}
			default:
				if got.callback.Get("error") != tt.want || got.callback.Get("iss") == "" {
					t.Errorf("got %d %s, want %s", got.status, got.location, tt.want)
				}
			}
		})
	}
}

func TestConsentIsForOneClient(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	v.signIn("ana", request())
	other := registerClient(t, v, `{"redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none"}`)
	got := v.authorize(request("client_id", other.ClientID, "prompt", "none"))
	if got.callback.Get("error") != "consent_required" {
		t.Errorf("another client rode on the consent: %s", got.location)
	}
}

func TestSignInPage(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	named := registerClient(t, v, `{"client_name":"<b>Evil</b>","redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none"}`)
	got := v.authorize(request("client_id", named.ClientID, "login_hint", "bruno"))
	for _, want := range []string{
		`<html lang="en">`, "&lt;b&gt;Evil&lt;/b&gt;", testServer + "/mcp", "offline_access", "<legend>",
		`value="bruno" required checked`, "http://127.0.0.1:54321",
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	if strings.Contains(got.body, "<script") || strings.Contains(got.body, "<b>") {
		t.Error("page has a script or unescaped text")
	}
	policy := got.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "style-src 'sha256-"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe-inline") || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("policy %q, cache %q", policy, got.header.Get("Cache-Control"))
	}
	for accept, lang := range map[string]string{"es-MX,es;q=0.9,en;q=0.8": "es", "fr,en;q=0.5,es;q=0.4": "en", "de": "en", "": "en", "en;q=x,es;q=0.1": "es"} {
		if page := v.authorize(request(), "Accept-Language", accept); !strings.Contains(page.body, `<html lang="`+lang+`">`) {
			t.Errorf("%q did not give %s", accept, lang)
		}
	}
	nobody := v.choose(v.authorize(request()), "", "allow")
	if nobody.status != http.StatusBadRequest || !strings.Contains(nobody.body, `role="alert"`) || !strings.Contains(nobody.body, "<form") {
		t.Errorf("without a person: %d", nobody.status)
	}
}

func TestSignInFormBelongsToItsBrowser(t *testing.T) {
	stack := start(t)
	v, other := newVisitor(t, stack), newVisitor(t, stack)
	page := v.authorize(request())
	other.authorize(request())
	if got := other.choose(page, "ana", "allow"); got.status != http.StatusBadRequest || got.location != "" {
		t.Errorf("another browser answered: %d %s", got.status, got.location)
	}
	fields := url.Values{"person": {"ana"}, "decision": {"allow"}}
	for _, match := range hidden.FindAllStringSubmatch(page.body, -1) {
		fields.Set(match[1], match[2])
	}
	wrong := url.Values{"person": {"ana"}, "decision": {"allow"}, "id": fields["id"], "csrf": {"guess"}}
	if got := v.do(http.MethodPost, stack.broker.origin+signInPath, wrong); got.status != http.StatusBadRequest || got.location != "" {
		t.Errorf("without the form's secret: %d %s", got.status, got.location)
	}
	for _, foreign := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
		if got := v.do(http.MethodPost, stack.broker.origin+signInPath, fields, foreign...); got.status != http.StatusForbidden {
			t.Errorf("%v: %d", foreign, got.status)
		}
	}
	if got := v.choose(page, "ana", "allow"); got.callback.Get("code") == "" {
		t.Errorf("the right browser: %d %s", got.status, got.body)
	}
	if got := v.choose(page, "ana", "allow"); got.status != http.StatusBadRequest || got.location != "" {
		t.Errorf("the form worked twice: %d %s", got.status, got.location)
	}
}

func TestWaitingRequestAndSessionExpire(t *testing.T) {
	now := time.Now()
	store := newSignIns("", func() time.Time { return now })
	asked, signed := httptest.NewRecorder(), httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, authorizePath, nil)
	store.ask(asked, r, authorization{})
	ana, _ := findPerson("ana")
	store.signIn(signed, ana, authorization{})
	for _, line := range append(asked.Header().Values("Set-Cookie"), signed.Header().Values("Set-Cookie")...) {
		cookie, err := http.ParseSetCookie(line)
		if err != nil {
			t.Fatal(err)
		}
		if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
			t.Errorf("cookie %s is open to scripts or other sites", cookie.Name)
		}
		r.AddCookie(cookie)
	}
	_, id, _ := strings.Cut(asked.Header().Get("Location"), "id=")
	state := func() (waiting, signedIn bool) {
		_, waiting = store.find(r, id)
		_, signedIn = store.signedIn(r)
		return waiting, signedIn
	}
	if waiting, signedIn := state(); !waiting || !signedIn {
		t.Fatalf("waiting %t, signed in %t", waiting, signedIn)
	}
	now = now.Add(pendingLifetime + time.Second)
	if waiting, signedIn := state(); waiting || !signedIn {
		t.Errorf("after the page's time: waiting %t, signed in %t", waiting, signedIn)
	}
	now = now.Add(sessionLifetime)
	if _, signedIn := state(); signedIn {
		t.Error("the session outlived its time")
	}
}
