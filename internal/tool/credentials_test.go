package tool

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// withCredential returns the built-in catalogue with another credential mode.
func withCredential(mode string) string {
	blocks := map[string]string{
		CredentialExchange: "\n    audience: https://otus.example\n    exchange: {token_url: 'https://idp.example/t', client: {id: g, auth: client_secret_post, secret_env: S}}",
		CredentialClient:   "\n    client_credentials: {token_url: 'https://idp.example/t', client: {id: g, auth: client_secret_post, secret_env: S}}",
		CredentialStatic:   "\n    static: {header: X-Api-Key, secret_env: S}",
	}
	return teamsCatalogue(mode+blocks[mode], "")
}

func TestReq064_OnlyPersonalCredentialsGetTheToken(t *testing.T) {
	for mode, personal := range map[string]bool{
		CredentialForward: true, CredentialExchange: true, CredentialClient: false, CredentialStatic: false, CredentialNone: false,
	} {
		sender := &stubSender{status: 200, body: "{}"}
		if _, err := runner(t, withCredential(mode), sender, io.Discard).Call(t.Context(), caller(), "otus_teams", nil); err != nil {
			t.Fatal(err)
		}
		if sender.token.IsSet() != personal {
			t.Errorf("%s: token handed over: %v, want %v", mode, sender.token.IsSet(), personal)
		}
	}
}

func TestReq069_TheRecordSaysWhoActs(t *testing.T) {
	var log bytes.Buffer
	sender := &stubSender{status: 200, body: "{}", actor: "gateway < support"}
	if _, err := runner(t, withCredential(CredentialExchange), sender, &log).Call(t.Context(), caller(), "otus_teams", nil); err != nil {
		t.Fatal(err)
	}
	records := auditRecords(t, log.Bytes())
	if len(records) != 1 || records[0]["actor"] != "gateway < support" || records[0]["credential"] != "exchange" {
		t.Errorf("records %v", records)
	}
}

// A refusal of the sender is the caller's to know; it says what is wrong with
// the caller's own token.
func TestReq067_RefusalOfTheSenderReachesTheCaller(t *testing.T) {
	sender := &stubSender{err: oauth.InvalidToken("exchange_refused", "Sign in again.", errors.New("invalid_grant"))}
	_, err := runner(t, withCredential(CredentialExchange), sender, io.Discard).Call(t.Context(), caller(), "otus_teams", nil)
	if got := refusalOf(t, err); got.Status != http.StatusUnauthorized || !got.Challenge || got.Reason != "exchange_refused" {
		t.Errorf("got %+v", got)
	}
}

func TestReq077_OperatorHearsOfARejectedCredential(t *testing.T) {
	for mode, warned := range map[string]bool{
		CredentialForward: false, CredentialExchange: true, CredentialClient: true, CredentialStatic: true,
	} {
		var log bytes.Buffer
		sender := &stubSender{status: 401, header: http.Header{"Www-Authenticate": {`Bearer realm="private"`}}}
		_, _ = runner(t, withCredential(mode), sender, &log).Call(t.Context(), caller(), "otus_teams", nil)
		if got := strings.Contains(log.String(), `"level":"WARN"`); got != warned || strings.Contains(log.String(), "private") {
			t.Errorf("%s: warned %v, want %v: %s", mode, got, warned, log.String())
		}
	}
}

func TestIdempotentToolsSaySo(t *testing.T) {
	for annotations, want := range map[string]bool{
		"": false, "\n    annotations: {idempotent: false}": false, "\n    annotations: {idempotent: true}": true,
	} {
		catalogue, _, _ := strings.Cut(teamsCatalogue("forward", ""), "    annotations:")
		catalogue = strings.Replace(catalogue, "method: GET", "method: POST"+annotations, 1)
		sender := &stubSender{status: 200, body: "{}"}
		if _, err := runner(t, catalogue, sender, io.Discard).Call(t.Context(), caller(), "otus_teams", nil); err != nil {
			t.Fatal(err)
		}
		if sender.sent.Idempotent != want {
			t.Errorf("%q: idempotent is %v, want %v", annotations, sender.sent.Idempotent, want)
		}
	}
}
