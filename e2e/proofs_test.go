package e2e

import (
	"bufio"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

const listTools = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`

// withDPoP starts a system that takes DPoP-bound tokens.
func withDPoP(t *testing.T, policy, nonce string) *apptest.System {
	t.Helper()
	return apptest.Start(t, apptest.WithConfig(func(c *config.Config) { c.DPoP, c.DPoPNonce = policy, nonce }))
}

// boundToken is Ana's, bound to the development stack's DPoP key.
func boundToken(system *apptest.System) string {
	return system.Mint(devstack.Mint{User: "ana", DPoPKey: "dev"})
}

// prove sends one message with a proof of its own.
func prove(t *testing.T, system *apptest.System, token, message string, proof devstack.Proof) answer {
	t.Helper()
	proof.Token = token
	proofs, err := system.Stack.Prove(proof)
	if err != nil {
		t.Fatal(err)
	}
	system.Secret(proofs...)
	return present(t, system, token, message, proofs)
}

// present sends one message with these proofs.
func present(t *testing.T, system *apptest.System, token, message string, proofs []string) answer {
	t.Helper()
	request := newRequest(t.Context(), t, http.MethodPost, system.URL+"/mcp", "", message)
	request.Header.Set("Authorization", "DPoP "+token)
	request.Header["Dpop"] = proofs
	return send(t, system, request)
}

// proofReasons is why each defect of the proof forge is refused, as the logs say.
var proofReasons = map[string]string{
	"no-proof":      "proof_missing",
	"two-proofs":    "several_proofs",
	"wrong-typ":     "proof_type",
	"crit":          "proof_extension",
	"alg-none":      "proof_algorithm",
	"symmetric-alg": "proof_algorithm",
	"no-jwk":        "proof_key",
	"private-jwk":   "proof_key",
	"bad-signature": "proof_signature",
	"wrong-key":     "proof_binding",
	"wrong-htm":     "proof_method",
	"wrong-htu":     "proof_url",
	"foreign-htu":   "proof_url",
	"wrong-ath":     "proof_token",
	"no-ath":        "proof_claim",
	"no-jti":        "proof_claim",
	"oversize":      "proof_malformed",
	"old-iat":       "proof_time",
	"future-iat":    "proof_time",
	"replayed-jti":  "proof_replayed",
	"wrong-nonce":   "", // no nonce is wanted here
}

// TestReq049_EveryDefectOfAProofIsRefused sends each defect of the proof forge
// after a good proof, which is what makes a repeated jti one.
func TestReq049_EveryDefectOfAProofIsRefused(t *testing.T) {
	t.Parallel()
	system := withDPoP(t, "allowed", "off")
	token := boundToken(system)
	for _, defect := range devstack.ProofDefects() {
		reason, known := proofReasons[defect]
		if !known {
			t.Errorf("the defect %q is not in the table", defect)
			continue
		}
		if got := prove(t, system, token, listTools, devstack.Proof{}); got.status != http.StatusOK {
			t.Fatalf("a good proof: %d %s", got.status, got.body)
		}
		before := system.Count("oauth_mcp_server.dpop.proofs", attribute.String("result", reason))
		got := prove(t, system, token, listTools, devstack.Proof{Defect: defect})
		if reason == "" {
			if got.status != http.StatusOK {
				t.Errorf("%s: %d %s", defect, got.status, got.body)
			}
			continue
		}
		code := "invalid_dpop_proof"
		if reason == "proof_binding" {
			code = "invalid_token"
		}
		challenges := got.header.Values("WWW-Authenticate")
		if got.status != http.StatusUnauthorized || len(challenges) != 2 || strings.Contains(challenges[0], "error=") ||
			!strings.HasPrefix(challenges[1], "DPoP ") || !strings.Contains(challenges[1], `error="`+code+`"`) ||
			!strings.HasSuffix(challenges[1], `, algs="ES256 RS256 PS256 EdDSA"`) {
			t.Errorf("%s: %d %q", defect, got.status, challenges)
		}
		if !strings.Contains(system.Logs.String(), `"decision":"deny","reason":"`+reason+`"`) {
			t.Errorf("%s: no audit record says %s", defect, reason)
		}
		if counted := system.Count("oauth_mcp_server.dpop.proofs", attribute.String("result", reason)) - before; counted != 1 {
			t.Errorf("%s: counted %d times as %s", defect, counted, reason)
		}
	}
}

// A bound token is good for what stays here, and is never forwarded.
func TestReq048_ABoundTokenIsNotForwarded(t *testing.T) {
	t.Parallel()
	system := withDPoP(t, "allowed", "off")
	token := boundToken(system)
	got := prove(t, system, token, callTeams, devstack.Proof{})
	if got.status != http.StatusForbidden || !strings.Contains(got.body, "bound to a key of the client") || got.header.Get("WWW-Authenticate") != "" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if seen := len(system.Stack.OtusRequests()); seen != 0 {
		t.Errorf("Otus saw %d requests", seen)
	}
	if got := post(t, system, "/mcp", token, listTools); got.status != http.StatusUnauthorized || !strings.Contains(got.body, "not as a bearer token") {
		t.Errorf("as a bearer token: %d %s", got.status, got.body)
	}
	plain := system.Token("ana")
	if got := prove(t, system, plain, listTools, devstack.Proof{}); got.status != http.StatusUnauthorized || !strings.Contains(got.body, "not bound to a DPoP key") {
		t.Errorf("a plain token with a proof: %d %s", got.status, got.body)
	}
	if got := post(t, system, "/mcp", plain, callTeams); got.status != http.StatusOK {
		t.Errorf("a plain token: %d %s", got.status, got.body)
	}
}

// The flags are what is enforced.
func TestReq007_Req051_MetadataSaysWhatIsEnforced(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]struct {
		flags   map[string]any
		schemes []string
		plain   int
	}{
		"off":      {map[string]any{}, []string{"Bearer"}, http.StatusOK},
		"allowed":  {map[string]any{"dpop_signing_alg_values_supported": []any{"ES256", "RS256", "PS256", "EdDSA"}}, []string{"Bearer", "DPoP"}, http.StatusOK},
		"required": {map[string]any{"dpop_signing_alg_values_supported": []any{"ES256", "RS256", "PS256", "EdDSA"}, "dpop_bound_access_tokens_required": true}, []string{"DPoP"}, http.StatusUnauthorized},
	} {
		system := withDPoP(t, policy, "off")
		flags := metadataFlags(t, system)
		if diff := cmp.Diff(want.flags, flags); diff != "" {
			t.Errorf("%s (-want +got):\n%s", policy, diff)
		}
		var schemes []string
		for _, challenge := range post(t, system, "/mcp", "", listTools).header.Values("WWW-Authenticate") {
			scheme, _, _ := strings.Cut(challenge, " ")
			schemes = append(schemes, scheme)
		}
		if !slices.Equal(schemes, want.schemes) {
			t.Errorf("%s: offers %v", policy, schemes)
		}
		if got := post(t, system, "/mcp", system.Token("ana"), listTools); got.status != want.plain {
			t.Errorf("%s: a plain token: %d", policy, got.status)
		}
		bound := prove(t, system, boundToken(system), listTools, devstack.Proof{})
		if (bound.status == http.StatusOK) != (policy != "off") {
			t.Errorf("%s: a bound token: %d %s", policy, bound.status, bound.body)
		}
	}
}

// metadataFlags are the members of the metadata that are about bound tokens.
func metadataFlags(t *testing.T, system *apptest.System) map[string]any {
	t.Helper()
	got := send(t, system, newRequest(t.Context(), t, http.MethodGet, system.URL+"/.well-known/oauth-protected-resource", "", ""))
	flags := map[string]any{}
	for name, value := range decodeObject(t, got.body) {
		if strings.HasPrefix(name, "dpop_") || strings.HasPrefix(name, "tls_") {
			flags[name] = value
		}
	}
	return flags
}

// A client without a nonce gets one with its refusal, and the next answer brings
// the one to go on with.
func TestReq051_NonceFromTheFirstRefusal(t *testing.T) {
	t.Parallel()
	system := withDPoP(t, "allowed", "on")
	token := boundToken(system)
	refused := prove(t, system, token, listTools, devstack.Proof{})
	nonce := refused.header.Get("DPoP-Nonce")
	if refused.status != http.StatusUnauthorized || nonce == "" || !strings.Contains(refused.body, `"error":"use_dpop_nonce"`) ||
		!strings.Contains(refused.header.Values("WWW-Authenticate")[1], `error="use_dpop_nonce"`) {
		t.Fatalf("%d %v %s", refused.status, refused.header, refused.body)
	}
	good := prove(t, system, token, listTools, devstack.Proof{Nonce: nonce})
	if good.status != http.StatusOK || good.header.Get("DPoP-Nonce") == "" {
		t.Fatalf("%d %v %s", good.status, good.header, good.body)
	}
	for _, defect := range []string{"replayed-jti", "wrong-nonce"} {
		if got := prove(t, system, token, listTools, devstack.Proof{Nonce: nonce, Defect: defect}); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", defect, got.status)
		}
	}
}

// The TypeScript SDK's own DPoP, from the token request to each message: it reads
// the metadata, the challenges and the nonces as others do.
func TestReq049_Req051_TypeScriptSDKWithDPoP(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ policy, nonce, transport, version string }{
		"http":               {"allowed", "off", "http", ""},
		"http with nonces":   {"allowed", "on", "http", "auto"},
		"http, nothing else": {"required", "on", "http", "auto"},
		"sse with nonces":    {"allowed", "on", "sse", ""},
	} {
		t.Run(name, func(t *testing.T) {
			system := withDPoP(t, test.policy, test.nonce)
			got := walk(t, system, "sdk-v2.mjs", walkInput{
				URL: endpoint(system, test.transport), Transport: test.transport, Mode: "dpop", Version: test.version,
			})
			if got.Error != nil {
				t.Fatalf("the walk failed: %s: %s\n%+v", got.Error.Name, got.Error.Message, got.Requests)
			}
			if got.Granted.Type != "DPoP" || len(got.Tools) != 1 {
				t.Errorf("a token of the type %q, %d tools", got.Granted.Type, len(got.Tools))
			}
		})
	}
}

// On HTTP+SSE the stream and each message have a proof of their own.
func TestReq049_ProofsOnHTTPAndSSE(t *testing.T) {
	t.Parallel()
	system := withDPoP(t, "allowed", "off")
	token := boundToken(system)
	request := func(method, path, body string, p devstack.Proof) *http.Request {
		p.Token = token
		proofs, err := system.Stack.Prove(p)
		if err != nil {
			t.Fatal(err)
		}
		r := newRequest(t.Context(), t, method, system.URL+path, "", body)
		r.Header.Set("Authorization", "DPoP "+token)
		r.Header["Dpop"] = proofs
		return r
	}
	opened, err := system.Client().Do(request(http.MethodGet, "/mcp/sse", "", devstack.Proof{Method: http.MethodGet, URL: system.URL + "/mcp/sse"})) //nolint:bodyclose // the next lines do
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Body.Close()
	if opened.StatusCode != http.StatusOK {
		t.Fatalf("the stream: %d", opened.StatusCode)
	}
	events := make(chan event, 8)
	go func() { // ends with the body
		defer close(events)
		readEvents(bufio.NewReader(opened.Body), events)
	}()
	endpoint := (<-events).data
	if got := send(t, system, request(http.MethodPost, endpoint, listTools, devstack.Proof{URL: system.URL + "/mcp"})); got.status != http.StatusUnauthorized {
		t.Errorf("a message with a proof for /mcp: %d", got.status)
	}
	if got := send(t, system, request(http.MethodPost, endpoint, listTools, devstack.Proof{URL: system.URL + "/mcp/sse", Defect: "no-proof"})); got.status != http.StatusUnauthorized {
		t.Errorf("a message without a proof: %d", got.status)
	}
	if got := send(t, system, request(http.MethodPost, endpoint, listTools, devstack.Proof{URL: system.URL + "/mcp/sse"})); got.status != http.StatusAccepted {
		t.Fatalf("a message: %d %s", got.status, got.body)
	}
	if e := <-events; !strings.Contains(e.data, "otus_teams") {
		t.Errorf("answered with %+v", e)
	}
}

func decodeObject(t *testing.T, text string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return object
}
