package bearer

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

var update = flag.Bool("update", false, "write the vectors again, with new keys")

// vectorFile is one file of vectors/; its README describes the format for other
// implementations.
type vectorFile struct {
	About    string          `json:"about"`
	Verifier vectorVerifier  `json:"verifier"`
	JWKS     json.RawMessage `json:"jwks"`
	Vectors  []vector        `json:"vectors"`
}

type vectorVerifier struct {
	Issuer     string    `json:"issuer"`
	Algorithms []string  `json:"algorithms"`
	Audiences  []string  `json:"audiences"`
	Leeway     int       `json:"leeway_seconds"`
	Now        time.Time `json:"now"`
}

type vector struct {
	Name   string `json:"name"`
	Token  string `json:"token"`
	Accept bool   `json:"accept"`
	// of a token that is accepted
	Subject string   `json:"subject,omitempty"`
	Scopes  []string `json:"scopes,omitempty"`
	// of one that is refused
	Reason string `json:"reason,omitempty"`
}

// vectorSets names what the files are made of: the rows of the other tests.
var vectorSets = []struct {
	file, about string
	rows        []spoiled
}{
	{"shape", "What can be read in one way only: segments, base64url, JSON, sizes.", shapeRows},
	{"algorithms", "Which signature algorithms are taken.", algorithmRows},
	{"signatures", "Which key has to have signed, and that nothing is said of claims before.", signatureRows},
	{"headers", "Critical extensions and kinds of token.", headerRows},
	{"claims", "Issuer, audience, times, subject, ID tokens, bound tokens.", claimRows},
}

func vectorPath(name string) string { return filepath.Join("..", "..", "vectors", name+".json") }

func readVectors(t *testing.T, name string) vectorFile {
	t.Helper()
	text, err := os.ReadFile(vectorPath(name))
	if err != nil {
		t.Fatal(err)
	}
	var file vectorFile
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestVectors runs the files as another implementation would: with what they
// say, and nothing else.
func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	for _, set := range vectorSets {
		t.Run(set.file, func(t *testing.T) {
			file := readVectors(t, set.file)
			provider := startIDP(t)
			provider.publishRaw(string(file.JWKS))
			v := provider.verifier(t, func(c *Config) {
				c.Issuers[0].Issuer, c.Issuers[0].Algorithms = file.Verifier.Issuer, file.Verifier.Algorithms
				c.Audiences = file.Verifier.Audiences
				c.Leeway = time.Duration(file.Verifier.Leeway) * time.Second
				c.Now = func() time.Time { return file.Verifier.Now }
			})
			var names []string
			for _, want := range file.Vectors {
				names = append(names, want.Name)
				t.Run(want.Name, func(t *testing.T) {
					if diff := cmp.Diff(want, judged(t, v, want.Name, want.Token)); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
				})
			}
			var rows []string
			for _, row := range set.rows {
				rows = append(rows, row.name)
			}
			if diff := cmp.Diff(rows, names); diff != "" {
				t.Errorf("run: go test ./internal/bearer -run TestVectors -update (-rows +file):\n%s", diff)
			}
		})
	}
}

// judged is the vector that v makes of a token.
func judged(t *testing.T, v *Verifier, name, token string) vector {
	t.Helper()
	principal, err := v.Verify(t.Context(), secret.New(token))
	if err == nil {
		return vector{Name: name, Token: token, Accept: true, Subject: principal.Subject, Scopes: principal.Scopes}
	}
	refusal, ok := errors.AsType[*oauth.Refusal](err)
	if !ok {
		t.Fatal(err)
	}
	return vector{Name: name, Token: token, Reason: refusal.Reason}
}

// TestVectorsHaveNoPrivateKeys: the keys that sign are thrown away.
func TestVectorsHaveNoPrivateKeys(t *testing.T) {
	for _, set := range vectorSets {
		var keys struct {
			Keys []map[string]any `json:"keys"`
		}
		if err := json.Unmarshal(readVectors(t, set.file).JWKS, &keys); err != nil || len(keys.Keys) == 0 {
			t.Fatal(err, len(keys.Keys))
		}
		for _, key := range keys.Keys {
			for _, private := range []string{"d", "p", "q", "k"} {
				if _, there := key[private]; there {
					t.Errorf("%s has a private key", set.file)
				}
			}
		}
	}
}

// writeVectors makes every row with the keys of this run. The reasons are those
// of the rows, not what the verifier says.
func writeVectors(t *testing.T) {
	t.Helper()
	const issuer = "http://localhost/tenant/"
	jwks := must(json.Marshal(map[string]any{"keys": []any{rsaKey().jwk()}}))
	for _, set := range vectorSets {
		file := vectorFile{
			About: set.about,
			JWKS:  jwks,
			Verifier: vectorVerifier{
				Issuer: issuer, Algorithms: []string{rs256}, Leeway: int(defaultLeeway.Seconds()), Now: noon,
				Audiences: []string{testAudience, testAudience + "/mcp"},
			},
		}
		for _, row := range set.rows {
			f := newForge(issuer, rsaKey(), noon)
			row.spoil(f)
			made := vector{Name: row.name, Token: f.token().Reveal(), Accept: row.want == "", Reason: string(row.want)}
			if made.Accept {
				made.Subject, _ = f.claims["sub"].(string)
				made.Scopes = strings.Fields(fmt.Sprint(f.claims["scope"]))
			}
			file.Vectors = append(file.Vectors, made)
		}
		text := must(json.MarshalIndent(file, "", "  "))
		if err := os.WriteFile(vectorPath(set.file), append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	known, err := filepath.Glob(vectorPath("*"))
	if err != nil || len(known) != len(vectorSets)+1 || !slices.Contains(known, vectorPath(proofVectors)) {
		t.Errorf("%v: files of earlier sets? %v", err, known)
	}
}
