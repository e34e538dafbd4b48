package edge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// headerNonce carries the nonce for the next DPoP proof (RFC 9449 section 8.1).
const headerNonce = "DPoP-Nonce"

// DPoPOffer is what challenges say of DPoP (RFC 9449 section 7.1). The zero
// DPoPOffer says nothing: the scheme is not taken.
type DPoPOffer struct {
	Algorithms []string // that a proof may be signed with; none: not taken
	Only       bool     // bearer tokens are not taken
	// Nonce returns the nonce for the next proof, "" where proofs need none; nil
	// is the same as that.
	Nonce func() string
}

// gate lets a request through with a verified access token only. There is no
// other way to a protected handler, and nothing (a session, a cookie) replaces
// the token. Every decision leaves one audit record.
func (e *Edge) gate(next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx := r.Context()
		if e.cfg.DPoP.Nonce != nil {
			if nonce := e.cfg.DPoP.Nonce(); nonce != "" {
				w.Header().Set(headerNonce, nonce)
			}
		}
		access, scheme, err := e.authenticate(r)
		e.audit(ctx, access.Principal, err)
		if err != nil {
			return err
		}
		subject := slog.String("subject_hash", access.Principal.SubjectHash())
		telemetry.Annotate(ctx, subject, slog.String("client_id", clip(access.Principal.ClientID)))
		ctx, leave := e.inFlight.admit(telemetry.With(bearer.WithAccess(ctx, access), subject), access.Principal)
		defer leave()
		w.Header().Set("Cache-Control", "no-store")
		return underScheme(scheme, next(w, r.WithContext(ctx)))
	}
}

// authenticate returns who calls, and the scheme of the credentials.
func (e *Edge) authenticate(r *http.Request) (access bearer.Access, scheme string, err error) {
	presented, err := bearer.FromRequest(r)
	if err != nil {
		return bearer.Access{}, "", err
	}
	f := forwardedBy(r)
	presented.Certificate = f.certificate
	if f.certificateUnreadable {
		telemetry.Annotate(r.Context(), slog.String("client_certificate", "unreadable"))
	}
	principal, err := e.cfg.Authenticate(r.Context(), presented)
	if err != nil {
		return bearer.Access{}, presented.Scheme, err
	}
	return bearer.Access{Principal: principal, Token: presented.Token}, presented.Scheme, nil
}

// underScheme puts a handler's refusal on the challenge of the scheme that the
// request used. Handlers do not know it.
func underScheme(scheme string, err error) error {
	refusal, ok := errors.AsType[*oauth.Refusal](err)
	if !ok || !refusal.Challenge || refusal.Scheme == scheme {
		return err
	}
	answered := *refusal
	answered.Scheme = scheme
	return &answered
}

func (e *Edge) audit(ctx context.Context, p oauth.Principal, err error) {
	record := telemetry.Audit{Event: "authentication", Decision: "allow", Reason: "ok"}
	if err != nil {
		record.Decision, record.Reason = "deny", "internal"
		if refusal, ok := errors.AsType[*oauth.Refusal](err); ok {
			record.Reason = refusal.Reason
		}
	} else {
		record.Issuer, record.Subject, record.SubjectHash = p.Issuer, p.Subject, p.SubjectHash()
		record.ClientID, record.TokenHash = clip(p.ClientID), p.TokenIDHash()
	}
	e.observer.decided(ctx, record.Decision, record.Reason)
	record.Write(ctx, e.cfg.Logger)
}

// maxLogged bounds a text that came from outside in a log line, in bytes.
const maxLogged = 100

func clip(text string) string {
	if len(text) > maxLogged {
		return text[:maxLogged]
	}
	return text
}
