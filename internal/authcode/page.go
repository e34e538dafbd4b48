package authcode

import (
	"bytes"
	"crypto/rand"
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/negotiate"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

//go:embed pages/*.html
var pageFiles embed.FS

// parsePages reads the pages that are built into the program.
func parsePages() (*template.Template, error) {
	return template.ParseFS(pageFiles, "pages/*.html")
}

// forPeople runs a handler that browsers are sent to: a refusal becomes a page
// for those that show pages, and goes on to the one error writer for the rest.
func (f *Flow) forPeople(w http.ResponseWriter, r *http.Request, handle func(http.ResponseWriter, *http.Request) error) error {
	protect(w)
	w.Header().Add("Vary", "Accept, Accept-Language, Cookie")
	err := handle(w, r)
	if err == nil || !negotiate.PrefersHTML(r.Header) {
		return err
	}
	refusal := oauth.AsRefusal(err)
	// The edge sees no error, so its record of one is made here.
	telemetry.Annotate(r.Context(), slog.String("reason", refusal.Reason))
	if refusal.Status >= http.StatusInternalServerError {
		attrs := []slog.Attr{slog.String("reason", refusal.Reason)}
		if refusal.Err != nil {
			attrs = append(attrs, slog.String("error", refusal.Err.Error()))
		}
		f.logger.LogAttrs(r.Context(), slog.LevelWarn, "request failed", attrs...)
	}
	return f.errorPage(w, r, refusal)
}

// page is what every page's template gets.
type page struct {
	Text  wording
	Nonce string // of the inline style and script
	Title string
}

// tokenView is the page with the token.
type tokenView struct {
	page
	Subject  string
	Scopes   oauth.Scopes
	Expires  time.Time
	Secrets  []secretView
	Snippets []snippet
}

// ExpiresISO is for the datetime attribute, which the script shows as local
// time.
func (v tokenView) ExpiresISO() string { return v.Expires.UTC().Format(time.RFC3339) }

// ExpiresText is for browsers without scripts.
func (v tokenView) ExpiresText() string { return v.Expires.UTC().Format("2006-01-02 15:04 UTC") }

// secretView is one token, hidden until asked for.
type secretView struct {
	ID, Name string
	Token    string
	Note     string
}

// errorView is the page of a refusal.
type errorView struct {
	page
	Message   string
	Status    string
	Reason    string
	CanRetry  bool
	StartPath string
}

func (f *Flow) tokenPage(w http.ResponseWriter, r *http.Request, got tokens, principal oauth.Principal) error {
	text := wordings[negotiate.Language(r.Header)]
	scopes := principal.Scopes
	if len(scopes) == 0 {
		scopes = oauth.ParseScopes(got.scope)
	}
	view := tokenView{
		page:     page{Text: text, Nonce: rand.Text(), Title: text.SignedIn},
		Subject:  principal.Subject,
		Scopes:   scopes,
		Expires:  expiryOf(got, principal),
		Secrets:  []secretView{{ID: "access", Name: text.AccessToken, Token: got.access.Reveal(), Note: text.AccessNote}},
		Snippets: snippets(f.cfg.ServerURL, text, got.refresh.IsSet()),
	}
	if got.refresh.IsSet() {
		view.Secrets = append(view.Secrets, secretView{
			ID: "refresh", Name: text.RefreshToken, Token: got.refresh.Reveal(), Note: text.RefreshNote,
		})
	}
	return f.render(w, http.StatusOK, "token.html", view.page, view)
}

func (f *Flow) errorPage(w http.ResponseWriter, r *http.Request, refusal *oauth.Refusal) error {
	language := negotiate.Language(r.Header)
	text := wordings[language]
	view := errorView{
		page:      page{Text: text, Nonce: rand.Text(), Title: text.NotSignedIn},
		Message:   refusal.Description,
		Status:    strconv.Itoa(refusal.Status),
		Reason:    refusal.Reason,
		CanRetry:  refusal.Reason != reasonDisabled,
		StartPath: f.cfg.ServerURL + startPath,
	}
	if v, known := verdicts[refusal.Reason]; known && language == negotiate.Spanish && v.es != "" {
		view.Message = v.es
	}
	if refusal.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(refusal.RetryAfter.Round(time.Second)/time.Second)))
	}
	return f.render(w, refusal.Status, "error.html", view.page, view)
}

// render writes a page whole or not at all, under a policy that runs nothing
// but the page's own style and script and loads nothing.
func (f *Flow) render(w http.ResponseWriter, status int, name string, p page, view any) error {
	var body bytes.Buffer
	if err := f.pages.ExecuteTemplate(&body, name, view); err != nil {
		return fmt.Errorf("authcode: render %s: %w", name, err)
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Language", p.Text.Lang)
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+p.Nonce+"'; script-src 'nonce-"+p.Nonce+
		"'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'")
	header.Set("Cross-Origin-Opener-Policy", "same-origin") // the tab that opened this one gets no handle on it
	header.Set("X-Frame-Options", "DENY")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // an error means the reader is gone
	return nil
}
