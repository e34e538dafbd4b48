package credential

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

const subjectToken = "eyJ.the-callers.token"

// tokenServer is a token endpoint that remembers what it was asked and answers
// as the test says.
type tokenServer struct {
	*httptest.Server
	answer func(form url.Values) (int, any)

	mu       sync.Mutex
	forms    []url.Values
	requests []*http.Request
}

// good answers with the token "issued-N" for an hour.
func good(form url.Values) (int, any) {
	return http.StatusOK, map[string]any{
		"access_token": "issued-for-" + form.Get("subject_token") + form.Get("assertion"), "token_type": "Bearer", "expires_in": 3600,
		"issued_token_type": TypeAccessToken,
	}
}

func startServer(t *testing.T, answer func(url.Values) (int, any)) *tokenServer {
	t.Helper()
	s := &tokenServer{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *tokenServer) serve(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	s.mu.Lock()
	s.forms, s.requests = append(s.forms, r.PostForm), append(s.requests, r)
	answer := s.answer
	s.mu.Unlock()
	status, body := answer(r.PostForm)
	if raw, ok := body.(string); ok {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, raw)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (s *tokenServer) say(answer func(url.Values) (int, any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *tokenServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.forms)
}

// last returns the latest request and its form.
func (s *tokenServer) last(t *testing.T) (*http.Request, url.Values) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.forms) == 0 {
		t.Fatal("the token endpoint was not asked")
	}
	return s.requests[len(s.requests)-1], s.forms[len(s.forms)-1]
}

func (s *tokenServer) endpoint(t *testing.T, client ClientConfig) *Endpoint {
	t.Helper()
	if client.ID == "" {
		client = ClientConfig{ID: "gateway", Auth: SecretPost, Secret: secret.New("client-secret")}
	}
	e, err := NewEndpoint(EndpointConfig{URL: s.URL + "/token", Client: client, Transport: s.Client().Transport})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// exchange returns an exchange at s for the API "billing".
func (s *tokenServer) exchange(t *testing.T, change func(*ExchangeConfig)) *Exchange {
	t.Helper()
	cfg := ExchangeConfig{Upstream: "billing", Endpoint: s.endpoint(t, ClientConfig{}), Target: Target{Audience: "https://billing.example", Scopes: oauth.Scopes{"read"}}}
	if change != nil {
		change(&cfg)
	}
	e, err := NewExchange(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func ana() oauth.Principal {
	return oauth.Principal{Issuer: "https://idp.example", Subject: "ana", Expiry: time.Now().Add(time.Hour)}
}

// applier is what package upstream sees.
type applier interface {
	Apply(ctx context.Context, header http.Header, as oauth.Principal, token secret.Value) (string, error)
	Rejected(header http.Header, as oauth.Principal, token secret.Value) bool
}

// apply returns the header that a call of Ana's would have.
func apply(t *testing.T, from applier) (http.Header, string) {
	t.Helper()
	header := http.Header{}
	actor, err := from.Apply(t.Context(), header, ana(), secret.New(subjectToken))
	if err != nil {
		t.Fatal(err)
	}
	return header, actor
}

func wantFailure(t *testing.T, err error, kind Kind) {
	t.Helper()
	failure, ok := errors.AsType[*Failure](err)
	if !ok || failure.Kind != kind {
		t.Fatalf("got %v, want a failure of kind %v", err, kind)
	}
	if _, blamed := errors.AsType[*oauth.Refusal](err); blamed {
		t.Errorf("the caller's token is blamed: %v", err)
	}
}
