package devstack

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// maxBody bounds every request body, in bytes.
const maxBody = 64 << 10

// handler is a handler that leaves its errors to one writer.
type handler func(w http.ResponseWriter, r *http.Request) error

// api serves h to programs: errors are JSON, and nothing is cached.
func api(logger *slog.Logger, h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		err := h(w, r)
		if err == nil {
			return
		}
		refusal := asRefusal(err)
		logRefusal(logger, r, refusal)
		_ = writeJSON(w, refusal.Status, map[string]string{
			"error": refusal.Code, "error_description": oauth.SafeText(refusal.Description),
		})
	}
}

// browser serves h to people: errors are a page, and go nowhere else.
func browser(logger *slog.Logger, h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		refusal := asRefusal(err)
		logRefusal(logger, r, refusal)
		text := wording(r)
		problem := refusal.Description
		if refusal.Code != "request_gone" {
			problem = text.notPossible + " (" + refusal.Description + ")"
		}
		if err := writePage(w, refusal.Status, page{Text: text, Problem: problem}); err != nil {
			http.Error(w, "page", http.StatusInternalServerError)
		}
	}
}

func logRefusal(logger *slog.Logger, r *http.Request, refusal *oauth.Refusal) {
	attrs := []slog.Attr{slog.String("path", r.Pattern), slog.Int("status", refusal.Status), slog.String("reason", refusal.Code)}
	level := slog.LevelDebug
	if refusal.Status >= http.StatusInternalServerError {
		level = slog.LevelError
		attrs = append(attrs, slog.String("error", refusal.Error()))
	}
	logger.LogAttrs(r.Context(), level, "refused", attrs...)
}

// asRefusal turns op's errors into refusals. A wrong client is 401 (RFC 6749
// section 5.2), every other error of the protocol 400.
func asRefusal(err error) *oauth.Refusal {
	protocol, ok := errors.AsType[*oidc.Error](err)
	if !ok || protocol.ErrorType == oidc.ServerError {
		return oauth.AsRefusal(err)
	}
	// op wraps a storage's error in a general one; the inner one says more.
	description := protocol.Description
	if inner, ok := errors.AsType[*oidc.Error](protocol.Parent); ok && inner.Description != "" {
		description = inner.Description
	}
	refusal := badRequest(string(protocol.ErrorType), description)
	refusal.Err = err
	if protocol.ErrorType == oidc.InvalidClient {
		refusal.Status = http.StatusUnauthorized
	}
	return refusal
}

func badRequest(code, description string) *oauth.Refusal {
	return &oauth.Refusal{Status: http.StatusBadRequest, Code: code, Description: description, Reason: code}
}

// tooLarge tells a body over its bound from one that is not well formed.
func tooLarge(err error) *oauth.Refusal {
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return &oauth.Refusal{Status: http.StatusRequestEntityTooLarge, Code: oauth.CodeRequestTooLarge, Description: "The body is larger than 64 KiB", Reason: oauth.CodeRequestTooLarge}
	}
	return badRequest(oauth.CodeInvalidRequest, "The body cannot be read")
}

func notFound(http.ResponseWriter, *http.Request) error {
	return &oauth.Refusal{Status: http.StatusNotFound, Code: oauth.CodeNotFound, Description: "There is nothing here", Reason: oauth.CodeNotFound}
}

func writeJSON(w http.ResponseWriter, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body)
	return nil
}

// onlyThisMachine refuses requests whose Host is not this machine's own name: a
// web page that makes its domain resolve to 127.0.0.1 cannot reach accounts
// that have no passwords.
func onlyThisMachine(port string, next http.Handler) http.Handler {
	var hosts []string
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		hosts = append(hosts, net.JoinHostPort(name, port))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(hosts, r.Host) {
			_ = writeJSON(w, http.StatusMisdirectedRequest, map[string]string{"error": oauth.CodeForbidden, "error_description": "The development stack answers to localhost only"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// crossOrigin lets any web page use what OAuth clients in a browser need; none
// of it works with cookies.
func crossOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Access-Control-Allow-Origin", "*")
		if r.Method == http.MethodOptions {
			header.Set("Access-Control-Allow-Methods", "GET, POST")
			header.Set("Access-Control-Allow-Headers", "Authorization, DPoP, Content-Type, MCP-Protocol-Version")
			header.Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		header.Set("Access-Control-Expose-Headers", "WWW-Authenticate")
		next.ServeHTTP(w, r)
	})
}
