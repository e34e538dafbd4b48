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

// gate lets a request through with a verified access token only. There is no
// other way to a protected handler, and nothing (a session, a cookie) replaces
// the token. Every decision leaves one audit record.
func (e *Edge) gate(next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx := r.Context()
		access, err := e.authenticate(r)
		e.audit(ctx, access.Principal, err)
		if err != nil {
			return err
		}
		subject := slog.String("subject_hash", access.Principal.SubjectHash())
		telemetry.Annotate(ctx, subject, slog.String("client_id", clip(access.Principal.ClientID)))
		ctx = telemetry.With(bearer.WithAccess(ctx, access), subject)
		w.Header().Set("Cache-Control", "no-store")
		return next(w, r.WithContext(ctx))
	}
}

func (e *Edge) authenticate(r *http.Request) (bearer.Access, error) {
	token, err := bearer.FromRequest(r)
	if err != nil {
		return bearer.Access{}, err
	}
	principal, err := e.cfg.Verify(r.Context(), token)
	if err != nil {
		return bearer.Access{}, err
	}
	return bearer.Access{Principal: principal, Token: token}, nil
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
