package mcp

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// BenchmarkPost is what the protocol costs for one message: reading, deciding
// the revision, agreeing with the headers, dispatching, encoding. No socket, no
// token verification and no API.
func BenchmarkPost(b *testing.B) {
	server, err := New(Config{
		Tools: &fakeTools{}, Info: Info{Name: "bench", Version: "1"}, Logger: slog.New(slog.DiscardHandler), MessagePath: "/mcp/sse",
	})
	if err != nil {
		b.Fatal(err)
	}
	access := bearer.Access{Token: secret.New("t"), Principal: oauth.Principal{Issuer: "i", Subject: "s", Expiry: time.Now().Add(time.Hour)}}
	modernCall, modernHeader := modern("tools/call", `"name":"teams","arguments":{}`)
	for name, message := range map[string]struct {
		body   string
		header map[string]string
	}{
		"2026-07-28/call": {modernCall, modernHeader},
		"2025-11-25/call": {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"teams","arguments":{}}}`, legacy("2025-11-25")},
		"2025-11-25/list": {listBody, legacy("2025-11-25")},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequestWithContext(bearer.WithAccess(b.Context(), access), http.MethodPost, "/mcp", strings.NewReader(message.body))
				r.Header.Set("Content-Type", "application/json")
				for key, value := range message.header {
					r.Header.Set(key, value)
				}
				w := httptest.NewRecorder()
				if err := server.Post(w, r); err != nil || w.Code != http.StatusOK {
					b.Fatal(err, w.Code, w.Body)
				}
			}
		})
	}
}
