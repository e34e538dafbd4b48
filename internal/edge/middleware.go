package edge

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// Deadlines of one request. Streams set their own for every write.
const (
	bodyDeadline  = 30 * time.Second // from the gate to the last byte of the body
	replyDeadline = 30 * time.Second // from the first byte of the answer to the last
)

const maxRequestID = 64 // bytes of a request id that a client may bring

// withRequestID gives the request an id for every log record and for the
// client. One that a client brings is kept if it is short and plain.
func (e *Edge) withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if !plainID(id) {
			id = rand.Text()
		}
		w.Header().Set("X-Request-Id", id)
		ctx := telemetry.With(r.Context(), slog.String("request_id", id))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func plainID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

type routeKey struct{}

// setRoute tells the access line which path of the table was hit, "" for none.
func setRoute(ctx context.Context, path string) {
	if slot, ok := ctx.Value(routeKey{}).(*string); ok && path != "" {
		*slot = path
	}
}

// withAccessLine writes the one line each request leaves. It logs the route,
// never the URL: queries hold codes and session ids. A stream that goes on after
// its handler has returned writes its own line when it ends; until then it holds
// on to what is in this closure, so there is nothing of the request in it.
func (e *Edge) withAccessLine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		path := "unmatched"
		ctx, observed := e.observer.begin(r.Context(), r)
		ctx = context.WithValue(ctx, routeKey{}, &path)
		records := telemetry.Carry(ctx)
		method, address := loggedMethod(r.Method), client(r).String()
		ctx, line := telemetry.NewLine(ctx, func(attrs []slog.Attr) {
			took := time.Since(began)
			observed(path, took, attrs)
			e.cfg.Logger.LogAttrs(records, slog.LevelInfo, "request", append([]slog.Attr{
				slog.String("method", method),
				slog.String("route", path),
				slog.Duration("duration", took),
				slog.String("client_address", address),
			}, attrs...)...)
		})
		answer := &answer{ResponseWriter: w}
		next.ServeHTTP(answer, r.WithContext(ctx))
		line.End(slog.Int("status", answer.status()), slog.Int64("bytes", answer.written))
	})
}

// loggedMethod keeps the methods that exist and hides what somebody made up.
func loggedMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// withRecovery turns a panic into an opaque 500. http.ErrAbortHandler passes,
// as net/http wants it.
func (e *Edge) withRecovery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { //nolint:contextcheck // the request carries it
			crash := recover()
			if crash == nil {
				return
			}
			if crash == http.ErrAbortHandler { //nolint:errorlint // a sentinel panic value, compared as net/http does
				panic(crash)
			}
			// The panic value may hold anything; its type and the stack may not.
			e.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "panic",
				slog.String("panic_type", fmt.Sprintf("%T", crash)), slog.String("stack", string(debug.Stack())))
			e.refuse(w, r, nil, oauth.AsRefusal(fmt.Errorf("panic of type %T", crash)))
		}()
		next.ServeHTTP(w, r)
	})
}

// withBodyDeadline gives a slow sender a bounded time for its body and lifts
// the bound once the body is read, because the deadline would otherwise end a
// stream that is answered afterwards.
func withBodyDeadline(next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Body == nil || r.Body == http.NoBody {
			return next(w, r)
		}
		controller := http.NewResponseController(w)
		if err := controller.SetReadDeadline(time.Now().Add(bodyDeadline)); err != nil {
			return next(w, r) // a connection without deadlines, as in some tests
		}
		r.Body = &timedBody{ReadCloser: r.Body, controller: controller}
		return next(w, r)
	}
}

type timedBody struct {
	io.ReadCloser
	controller *http.ResponseController
}

// Read lifts the deadline with the end of the body.
func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		_ = b.controller.SetReadDeadline(time.Time{})
	}
	return n, err
}

// answer records what was written, for the access line and for knowing whether
// an error can still be told.
type answer struct {
	http.ResponseWriter
	code    int
	written int64
}

// WriteHeader notes the status and bounds the time for the rest of the answer.
func (a *answer) WriteHeader(code int) {
	if a.code == 0 && code >= http.StatusOK {
		a.code = code
		_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(time.Now().Add(replyDeadline))
	}
	a.ResponseWriter.WriteHeader(code)
}

// Write counts the bytes.
func (a *answer) Write(p []byte) (int, error) {
	if a.code == 0 {
		a.WriteHeader(http.StatusOK)
	}
	n, err := a.ResponseWriter.Write(p)
	a.written += int64(n)
	return n, err
}

// Unwrap keeps http.ResponseController working through the wrapper.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) status() int {
	if a.code == 0 {
		return http.StatusOK
	}
	return a.code
}

// started reports whether the answer is on its way already.
func started(w http.ResponseWriter) bool {
	a, ok := w.(*answer)
	return ok && a.code != 0
}
