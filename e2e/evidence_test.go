package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// reasons has the word that each defect of the forge leaves in metrics, audit
// records and access lines.
var reasons = map[string]string{
	"expired":               "expired",
	"not-yet-valid":         "not_yet_valid",
	"issued-in-future":      "not_yet_valid",
	"no-expiry":             "no_expiry",
	"expiry-as-text":        "invalid_claim",
	"expiry-overflow":       "invalid_claim",
	"wrong-issuer":          "wrong_issuer",
	"issuer-slash":          "wrong_issuer",
	"no-issuer":             "wrong_issuer",
	"wrong-audience":        "wrong_audience",
	"no-audience":           "wrong_audience",
	"empty-audience":        "wrong_audience",
	"audience-as-number":    "invalid_claim",
	"no-subject":            "no_subject",
	"empty-subject":         "no_subject",
	"bad-signature":         "bad_signature",
	"no-signature":          "bad_signature",
	"unknown-kid":           "unknown_key",
	"wrong-key":             "bad_signature",
	"alg-none":              "wrong_algorithm",
	"hs256-with-public-key": "wrong_algorithm",
	"ps256":                 "wrong_algorithm",
	"embedded-key":          "bad_signature",
	"key-url":               "unknown_key",
	"id-token":              "id_token",
	"id-token-for-api":      "id_token",
	"wrong-typ":             "wrong_type",
	"jwe":                   "encrypted_token",
	"opaque":                "opaque_token",
	"sender-constrained":    "sender_constrained",
	"crit":                  "critical_header",
	"b64-false":             "critical_header",
	"duplicate-claim":       "ambiguous_member",
	"folded-claim":          "ambiguous_member",
	"upper-case-claim":      "ambiguous_member",
	"four-segments":         "opaque_token",
	"oversize":              "token_too_large",
	"padded-base64":         "malformed_token",
}

// TestReq016_Req098_EveryDefectLeavesItsReason sends each defect of the forge
// once and reads what the operator gets: one audit record, one more in the
// metric, one word in the access line, all the same, and nothing of the token
// that nobody vouches for. TestEveryDefectIsRefused has what the client gets.
func TestReq016_Req098_EveryDefectLeavesItsReason(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	counted := map[string]int{}
	for _, defect := range devstack.Defects() {
		t.Run(defect, func(t *testing.T) {
			reason, known := reasons[defect]
			if !known {
				t.Fatal("the defect is not in the table")
			}
			request := newRequest(t.Context(), t, http.MethodPost, system.URL+"/mcp", system.Mint(devstack.Mint{Defect: defect}), callTeams)
			request.Header.Set("X-Request-Id", defect)
			if got := send(t, system, request); got.status != http.StatusUnauthorized {
				t.Errorf("status %d, want 401", got.status)
			}
			counted[reason]++
			denied := []attribute.KeyValue{telemetry.KeyDecision.String("deny"), telemetry.KeyReason.String(reason)}
			apptest.Eventually(t, "the access line is written", func() bool { return len(linesOf(t, system, defect)) >= 2 })
			if got := system.Count("oauth_mcp_server.authentications", denied...); got != counted[reason] {
				t.Errorf("%d refusals are counted as %s, want %d", got, reason, counted[reason])
			}
			logged := linesOf(t, system, defect)
			want := []map[string]any{
				{"level": "AUDIT", "audit": true, "event": "authentication", "decision": "deny", "reason": reason},
				{"level": "INFO", "method": "POST", "route": "/mcp", "status": 401.0, "reason": reason},
			}
			if diff := cmp.Diff(want, logged); diff != "" {
				t.Errorf("what the operator reads (-want +got):\n%s", diff)
			}
		})
	}
}

// linesOf returns the log lines of one request without what varies.
func linesOf(t *testing.T, system *apptest.System, requestID string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(system.Logs.String()) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatal(err)
		}
		if object["request_id"] != requestID {
			continue
		}
		for _, key := range []string{"time", "msg", "request_id", "trace_id", "bytes", "duration", "client_address"} {
			delete(object, key)
		}
		found = append(found, object)
	}
	return found
}
