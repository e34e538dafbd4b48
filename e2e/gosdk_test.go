package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// goRedirectURI is where authorization ends; nobody listens there.
const goRedirectURI = "http://127.0.0.1:8977/callback"

// goClient is the Go SDK's client with everything an application brings.
type goClient struct {
	system    *apptest.System
	transport *recorder
}

func newGoClient(t *testing.T, system *apptest.System) *goClient {
	t.Helper()
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	return &goClient{system: system, transport: &recorder{base: base}}
}

// recorder is a transport with a memory. With a token it also sends that.
type recorder struct {
	base  http.RoundTripper
	token string

	mu       sync.Mutex
	requests []sent
}

// RoundTrip implements http.RoundTripper.
func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	if r.token != "" {
		request = request.Clone(request.Context())
		request.Header.Set("Authorization", "Bearer "+r.token)
	}
	response, err := r.base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, sent{request.Method, request.URL.Path, request.Header.Get("Mcp-Protocol-Version"), response.StatusCode})
	return response, nil
}

func (r *recorder) count(fits func(sent) bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return walkOutput{Requests: r.requests}.count(fits)
}

// oauth returns the SDK's own authorization code flow with dynamic
// registration.
func (c *goClient) oauth(t *testing.T) *auth.AuthorizationCodeHandler {
	t.Helper()
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{
			Metadata: &oauthex.ClientRegistrationMetadata{
				ClientName:              "end-to-end walk",
				RedirectURIs:            []string{goRedirectURI},
				GrantTypes:              []string{"authorization_code", "refresh_token"},
				TokenEndpointAuthMethod: "none",
			},
		},
		RequestRefreshToken:      true,
		AuthorizationCodeFetcher: fetchCode,
		Client:                   &http.Client{Transport: c.transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// fetchCode is the browser: it follows redirects with cookies until one leaves
// for the client.
func fetchCode(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	var back *url.URL
	browser := &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(next.URL.String(), goRedirectURI) {
			back = next.URL
			return http.ErrUseLastResponse
		}
		return nil
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, args.URL, nil)
	if err != nil {
		return nil, err
	}
	response, err := browser.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if back == nil {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return nil, fmt.Errorf("authorization ended with %d at %s: %s", response.StatusCode, response.Request.URL.Path, body)
	}
	answer := back.Query()
	if answer.Get("error") != "" {
		return nil, errors.New(answer.Get("error_description"))
	}
	return &auth.AuthorizationResult{Code: answer.Get("code"), State: answer.Get("state"), Iss: answer.Get("iss")}, nil
}

// connect opens a session and closes it with the test.
func connect(t *testing.T, transport mcp.Transport, version string) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "end-to-end walk", Version: "1.0.0"}, nil)
	session, err := client.Connect(t.Context(), transport, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() }) // the server may have gone already
	return session
}

// listAndCall does what the client came for.
func listAndCall(t *testing.T, session *mcp.ClientSession) {
	t.Helper()
	listed, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var tools []json.RawMessage
	for _, tool := range listed.Tools {
		tools = append(tools, mustJSON(t, tool))
	}
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "otus_teams"})
	if err != nil {
		t.Fatal(err)
	}
	wantTeams(t, tools, mustJSON(t, result))
}

func mustJSON(t *testing.T, value any) json.RawMessage {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// TestGoSDK walks with the Go SDK on Streamable HTTP in every revision it can
// be told to speak.
func TestGoSDK(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	for _, version := range []string{"2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"} {
		t.Run(version, func(t *testing.T) {
			client := newGoClient(t, system)
			session := connect(t, &mcp.StreamableClientTransport{
				Endpoint: system.URL + "/mcp", HTTPClient: &http.Client{Transport: client.transport}, OAuthHandler: client.oauth(t),
			}, version)
			if got := session.InitializeResult().ProtocolVersion; got != version {
				t.Errorf("protocol version %q, want %q", got, version)
			}
			listAndCall(t, session)
			if n := client.transport.count(func(r sent) bool { return r.Path == "/ares/register" }); n != 1 {
				t.Errorf("%d registrations, want 1", n)
			}
			if n := client.transport.count(func(r sent) bool { return r.Path == "/mcp" && r.Status == http.StatusUnauthorized }); n != 1 {
				t.Errorf("%d requests got 401, want the first only", n)
			}
		})
	}
}

// TestGoSDKOnSSE uses a fixed token, because the SDK's transport has no OAuth.
func TestGoSDKOnSSE(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	client := newGoClient(t, system)
	client.transport.token = system.Mint(devstack.Mint{Resource: []string{system.URL + "/mcp/sse"}})
	session := connect(t, &mcp.SSEClientTransport{
		Endpoint: system.URL + "/mcp/sse", HTTPClient: &http.Client{Transport: client.transport},
	}, "2025-11-25")
	if got := session.InitializeResult().ProtocolVersion; got != "2024-11-05" {
		t.Errorf("protocol version %q, want 2024-11-05, which has this transport", got)
	}
	listAndCall(t, session)
}

// TestGoSDKRefreshes signs in where tokens live shorter than the client trusts
// them: it must refresh before every request, and nobody signs in again.
func TestGoSDKRefreshes(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t, apptest.WithTokenLifetime(5*time.Second))
	client := newGoClient(t, system)
	session := connect(t, &mcp.StreamableClientTransport{
		Endpoint: system.URL + "/mcp", HTTPClient: &http.Client{Transport: client.transport}, OAuthHandler: client.oauth(t),
	}, "")
	listAndCall(t, session)
	if n := client.transport.count(func(r sent) bool { return strings.HasSuffix(r.Path, "/token") }); n < 3 {
		t.Errorf("%d token requests, want one for the code and more to refresh", n)
	}
	if n := client.transport.count(func(r sent) bool { return r.Path == "/ares/register" }); n != 1 {
		t.Errorf("it registered %d times, so it signed in %d times; want 1", n, n)
	}
}

// TestGoSDKStopsAtAForeignToken uses a token for another API's audience.
func TestGoSDKStopsAtAForeignToken(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	client := newGoClient(t, system)
	client.transport.token = system.Mint(devstack.Mint{Defect: "wrong-audience"})
	for name, transport := range map[string]mcp.Transport{
		"http": &mcp.StreamableClientTransport{Endpoint: system.URL + "/mcp", HTTPClient: &http.Client{Transport: client.transport}},
		"sse":  &mcp.SSEClientTransport{Endpoint: system.URL + "/mcp/sse", HTTPClient: &http.Client{Transport: client.transport}},
	} {
		t.Run(name, func(t *testing.T) {
			session, err := mcp.NewClient(&mcp.Implementation{Name: "end-to-end walk"}, nil).Connect(t.Context(), transport, nil)
			if err == nil {
				_ = session.Close()
				t.Fatal("it connected")
			}
			if !strings.Contains(err.Error(), "Unauthorized") {
				t.Errorf("error %v, want one about 401", err)
			}
		})
	}
	if n := len(system.Stack.OtusRequests()); n != 0 {
		t.Errorf("Otus saw %d requests, want none", n)
	}
}
