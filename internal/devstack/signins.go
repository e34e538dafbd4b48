package devstack

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"slices"
	"sync"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// How long a request waits for a person, and a browser stays signed in.
const (
	pendingLifetime = 10 * time.Minute
	sessionLifetime = 8 * time.Hour
)

// The two cookies. The browser cookie ties a pending request to the browser
// that started it (login CSRF); the session cookie is who is signed in, and is
// new at every sign-in (session fixation).
const (
	browserCookie = "devstack_browser"
	sessionCookie = "devstack_session"
)

// session is somebody who signed in.
type session struct {
	person person
	since  time.Time
}

// fits reports whether the request may be answered for this session without
// asking: the hinted person, recently enough.
func (s session) fits(request authorization, now time.Time) bool {
	if request.loginHint != "" {
		hinted, known := findPerson(request.loginHint)
		if !known || hinted.id != s.person.id {
			return false
		}
	}
	return request.maxAge < 0 || now.Sub(s.since) <= request.maxAge
}

// pending is an authorization request that waits on the sign-in page.
type pending struct {
	request authorization
	browser string // the value of the browser cookie it belongs to
	csrf    string // the form's own secret
	expires time.Time
}

// consent is what one person allowed one client.
type consent struct {
	scopes    oauth.Scopes
	resources []string
}

type consentKey struct{ person, client string }

// signIns knows who is signed in where, who allowed what, and which requests
// wait for an answer.
type signIns struct {
	now       func() time.Time
	permanent string // person who is always signed in and never asked; "" for nobody

	mu       sync.Mutex
	waiting  *bounded[string, pending]
	sessions *bounded[string, session]
	consents *bounded[consentKey, consent]
}

func newSignIns(permanent string, now func() time.Time) *signIns {
	return &signIns{
		now:       now,
		permanent: permanent,
		waiting:   newBounded[string, pending](maxPending),
		sessions:  newBounded[string, session](maxSessions),
		consents:  newBounded[consentKey, consent](maxConsents),
	}
}

// signedIn returns who is signed in in the browser of r.
func (s *signIns) signedIn(r *http.Request) (session, bool) {
	if s.permanent != "" {
		who, ok := findPerson(s.permanent)
		return session{person: who, since: s.now()}, ok
	}
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return session{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.sessions.get(cookie.Value)
	if !ok || s.now().Sub(found.since) > sessionLifetime {
		return session{}, false
	}
	return found, true
}

// consented reports whether who allowed the request's client at least what it
// asks for now.
func (s *signIns) consented(who person, request authorization) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	given, ok := s.consents.get(consentKey{who.id, request.clientID})
	if !ok || len(given.scopes.Missing(request.scopes)) > 0 {
		return false
	}
	return !slices.ContainsFunc(request.resources, func(resource string) bool { return !slices.Contains(given.resources, resource) })
}

// ask parks the request and shows the sign-in page.
func (s *signIns) ask(w http.ResponseWriter, r *http.Request, request authorization) {
	browser := rand.Text()
	if cookie, err := r.Cookie(browserCookie); err == nil && len(cookie.Value) == len(browser) {
		browser = cookie.Value // other tabs of this browser stay valid
	}
	id := rand.Text()
	s.mu.Lock()
	s.waiting.put(id, pending{request: request, browser: browser, csrf: rand.Text(), expires: s.now().Add(pendingLifetime)})
	s.mu.Unlock()
	setCookie(w, browserCookie, browser)
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, signInPath+"?id="+id, http.StatusSeeOther)
}

// find returns the waiting request with that id, if this browser started it.
func (s *signIns) find(r *http.Request, id string) (pending, bool) {
	cookie, err := r.Cookie(browserCookie)
	if err != nil {
		return pending{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.waiting.get(id)
	if !ok || s.now().After(found.expires) || !same(cookie.Value, found.browser) {
		return pending{}, false
	}
	return found, true
}

// done forgets a waiting request. It reports false when it was answered
// already, so that a form posted twice gives one code.
func (s *signIns) done(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.waiting.get(id)
	s.waiting.remove(id)
	return ok
}

// signIn opens a session for who and records what they allowed.
func (s *signIns) signIn(w http.ResponseWriter, who person, request authorization) session {
	opened := session{person: who, since: s.now()}
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions.put(id, opened)
	key := consentKey{who.id, request.clientID}
	given, _ := s.consents.get(key)
	given.scopes = given.scopes.Union(request.scopes)
	for _, resource := range request.resources {
		if !slices.Contains(given.resources, resource) && len(given.resources) < maxPending {
			given.resources = append(given.resources, resource)
		}
	}
	s.consents.put(key, given)
	setCookie(w, sessionCookie, id)
	return opened
}

func setCookie(w http.ResponseWriter, name, value string) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // no Secure: the stack is http on loopback only
		Name: name, Value: value, Path: "/ares", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		MaxAge: int(sessionLifetime.Seconds()),
	})
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
