package bearer

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// proofVectorFile is vectors/proofs.json: DPoP proofs for one bound token, each
// with what becomes of the request that carries both.
type proofVectorFile struct {
	About    string          `json:"about"`
	Verifier vectorVerifier  `json:"verifier"`
	Request  vectorRequest   `json:"request"`
	JWKS     json.RawMessage `json:"jwks"`
	Token    string          `json:"token"`
	Vectors  []proofVector   `json:"vectors"`
}

type vectorRequest struct {
	Method    string `json:"method"`
	ServerURL string `json:"server_url"`
	Path      string `json:"path"`
	Window    int    `json:"proof_window_seconds"`
}

type proofVector struct {
	Name   string `json:"name"`
	Proof  string `json:"proof"`
	Accept bool   `json:"accept"`
	Reason string `json:"reason,omitempty"`
}

const proofVectors = "proofs"

// TestReq049_ProofVectors runs vectors/proofs.json as another implementation
// would: with what it says, and nothing else.
func TestReq049_ProofVectors(t *testing.T) {
	if *update {
		writeProofVectors(t)
	}
	text, err := os.ReadFile(vectorPath(proofVectors))
	if err != nil {
		t.Fatal(err)
	}
	var file proofVectorFile
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	provider := startIDP(t)
	provider.publishRaw(string(file.JWKS))
	v := provider.verifier(t, func(c *Config) {
		c.Issuers[0].Issuer, c.Issuers[0].Algorithms = file.Verifier.Issuer, file.Verifier.Algorithms
		c.Audiences = file.Verifier.Audiences
		c.Leeway = time.Duration(file.Verifier.Leeway) * time.Second
		c.Now = func() time.Time { return file.Verifier.Now }
		c.Binding = BindingConfig{DPoP: Allowed, ServerURL: file.Request.ServerURL}
	})
	var names []string
	for _, want := range file.Vectors {
		names = append(names, want.Name)
		got := proofVector{Name: want.Name, Proof: want.Proof, Accept: true}
		_, err := v.Authenticate(t.Context(), Presented{
			Token: secret.New(file.Token), Scheme: oauth.SchemeDPoP, Proofs: []string{want.Proof},
			Method: file.Request.Method, Path: file.Request.Path,
		})
		if err != nil {
			refusal, ok := errors.AsType[*oauth.Refusal](err)
			if !ok {
				t.Fatal(err)
			}
			got.Accept, got.Reason = false, refusal.Reason
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.Name, diff)
		}
	}
	var rows []string
	for _, row := range proofRows {
		rows = append(rows, row.name)
	}
	if diff := cmp.Diff(rows, names); diff != "" {
		t.Errorf("run: go test ./internal/bearer -run Vectors -update (-rows +file):\n%s", diff)
	}
}

// writeProofVectors makes every row with the keys of this run, which are thrown
// away. The reasons are those of the rows, not what the verifier says.
func writeProofVectors(t *testing.T) {
	t.Helper()
	provider := startIDP(t, edKey())
	token := boundToken(provider, map[string]string{"jkt": clientKey().thumbprint()})
	file := proofVectorFile{
		About: "Which DPoP proofs (RFC 9449) hold for one bound token, each presented for the first time.",
		Verifier: vectorVerifier{
			Issuer: provider.issuer, Algorithms: []string{edDSA}, Leeway: int(defaultLeeway.Seconds()), Now: noon,
			Audiences: []string{testAudience, testAudience + "/mcp"},
		},
		Request: vectorRequest{Method: "POST", ServerURL: testAudience, Path: "/mcp", Window: int(proofWindow.Seconds())},
		JWKS:    must(json.Marshal(map[string]any{"keys": []any{edKey().jwk()}})),
		Token:   token.Reveal(),
	}
	for _, row := range proofRows {
		f := newProof(clientKey(), token, noon)
		row.spoil(f)
		file.Vectors = append(file.Vectors, proofVector{Name: row.name, Proof: f.text(), Accept: row.want == "", Reason: string(row.want)})
	}
	text := must(json.MarshalIndent(file, "", "  "))
	if err := os.WriteFile(vectorPath(proofVectors), append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
