package authcode

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/seal"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Bounds of sign-ins under way.
const (
	attemptLifetime = 10 * time.Minute
	clockSkew       = time.Minute // a replica whose clock is behind may finish an attempt "from the future"
	maxAttempts     = 4           // open at once in one browser
	maxCookies      = 4           // of the same name that are looked at in one request
	maxCookieText   = 3800        // bytes; browsers keep cookies of 4096, name and attributes included
	maxUsedStates   = 16384       // remembered per replica, twice
)

// cookieName is the cookie's name; over https it gets the __Host- prefix, which
// browsers tie to this very host, to https and to Path=/ (RFC 6265bis section
// 4.1.3.2).
const cookieName = "oauth-mcp-signin"

// cookiePurpose separates this key from every other use of the session key.
const cookiePurpose = "oauth-mcp-server/authcode/sign-in-cookie/v1"

// attempt is one sign-in under way.
type attempt struct {
	state    secret.Value // 130 bits
	verifier secret.Value // PKCE, 256 bits
	nonce    secret.Value // 130 bits
	issuer   string       // the authorization server that was asked
	started  time.Time
}

func newAttempt(issuer string, now time.Time) attempt {
	return attempt{
		state:    secret.New(rand.Text()),
		verifier: secret.New(oauth.NewVerifier()),
		nonce:    secret.New(rand.Text()),
		issuer:   issuer,
		started:  now,
	}
}

func (a attempt) expired(now time.Time) bool {
	age := now.Sub(a.started)
	return age > attemptLifetime || age < -clockSkew
}

// cookieJar keeps attempts in the browser, sealed. All attempts of a browser
// share one cookie, so that the number of cookies stays one.
type cookieJar struct {
	sealer  seal.Sealer
	name    string
	secure  bool
	context string // what a cookie is bound to besides the key
}

func newCookieJar(key []byte, cfg Config) (*cookieJar, error) {
	s, err := seal.New(key, cookiePurpose)
	if err != nil {
		return nil, err
	}
	jar := &cookieJar{sealer: s, name: cookieName}
	if strings.HasPrefix(cfg.ServerURL, "https://") {
		jar.name, jar.secure = "__Host-"+cookieName, true
	}
	// A cookie opens only where the redirect URI and the client are the ones it
	// was made for.
	jar.context = jar.name + "\x00" + cfg.ServerURL + callbackPath + "\x00" + cfg.ClientID
	return jar, nil
}

// sealedAttempt is an attempt inside the seal.
type sealedAttempt struct {
	State    string `json:"s"`
	Verifier string `json:"v"`
	Nonce    string `json:"n"`
	Issuer   string `json:"i"`
	Started  int64  `json:"t"` // Unix milliseconds
}

// attempts returns what the request's cookie holds, oldest first; nothing when
// there is no cookie or it is not ours.
func (j *cookieJar) attempts(r *http.Request) []attempt {
	for i, cookie := range r.CookiesNamed(j.name) {
		if i == maxCookies {
			break
		}
		if found, ok := j.open(cookie.Value); ok {
			return found
		}
	}
	return nil
}

func (j *cookieJar) open(text string) ([]attempt, bool) {
	if len(text) > maxCookieText {
		return nil, false
	}
	plain, ok := j.sealer.Open(text, j.context)
	if !ok {
		return nil, false
	}
	var sealed []sealedAttempt
	if json.Unmarshal(plain, &sealed) != nil || len(sealed) > maxAttempts {
		return nil, false
	}
	found := make([]attempt, 0, len(sealed))
	for _, a := range sealed {
		found = append(found, attempt{
			state: secret.New(a.State), verifier: secret.New(a.Verifier), nonce: secret.New(a.Nonce),
			issuer: a.Issuer, started: time.UnixMilli(a.Started),
		})
	}
	return found, true
}

func (j *cookieJar) seal(attempts []attempt) (string, error) {
	sealed := make([]sealedAttempt, 0, len(attempts))
	for _, a := range attempts {
		sealed = append(sealed, sealedAttempt{
			State: a.state.Reveal(), Verifier: a.verifier.Reveal(), Nonce: a.nonce.Reveal(),
			Issuer: a.issuer, Started: a.started.UnixMilli(),
		})
	}
	plain, err := json.Marshal(sealed)
	if err != nil {
		return "", err
	}
	return j.sealer.Seal(plain, j.context), nil
}

// keep puts the cookie with the newest attempts that fit into the answer; no
// attempts take the cookie away. Not even the last one fitting is an error.
func (j *cookieJar) keep(w http.ResponseWriter, attempts []attempt) error {
	if len(attempts) == 0 {
		http.SetCookie(w, j.cookie("", -1))
		return nil
	}
	attempts = attempts[max(0, len(attempts)-maxAttempts):]
	for ; len(attempts) > 0; attempts = attempts[1:] {
		text, err := j.seal(attempts)
		if err != nil {
			return err
		}
		if len(text) <= maxCookieText {
			http.SetCookie(w, j.cookie(text, int(attemptLifetime/time.Second)))
			return nil
		}
	}
	return refuse(reasonCookieSize, nil)
}

// cookie returns the cookie with its attributes. SameSite=Lax, because the
// authorization server's redirect is a cross-site navigation (RFC 9700 section
// 4.7).
func (j *cookieJar) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure is left out on loopback http only, where browsers would drop the cookie
		Name: j.name, Value: value, Path: "/", MaxAge: maxAge,
		Secure: j.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}
