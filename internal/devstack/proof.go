package devstack

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// devKey is what dpop_jkt may say instead of a thumbprint: the key that the stack
// itself makes proofs with.
const devKey = "dev"

// Proof says what DPoP proof to make (RFC 9449 section 4.2). The zero Proof is for
// POST to the protected server's /mcp, and for no token.
type Proof struct {
	Token  string // the access token that it goes along with; "" for a token request
	Method string // "" means POST
	URL    string // "" means /mcp of the protected server
	Nonce  string // "" means none
	Defect string // one of [ProofDefects]; "" means none
}

// prover holds the DPoP keys of the stack, for clients without any of their own.
type prover struct {
	key        *ecdsa.PrivateKey
	stranger   *ecdsa.PrivateKey
	thumbprint string

	mu   sync.Mutex
	last string // "jti" of the last proof that was made
}

func newProver() (*prover, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate a DPoP key: %w", err)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate a DPoP key: %w", err)
	}
	thumbprint, err := keyThumbprint(key.Public())
	if err != nil {
		return nil, err
	}
	return &prover{key: key, stranger: stranger, thumbprint: thumbprint}, nil
}

// keyThumbprint is the RFC 7638 thumbprint of a public key.
func keyThumbprint(public crypto.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("thumbprint: %w", err)
	}
	return segment(sum), nil
}

// DPoPKey returns the thumbprint of the key that [Stack.Prove] signs with.
func (s *Stack) DPoPKey() string { return s.prover.thumbprint }

// Prove returns the values of the DPoP header fields of one request: one proof,
// unless the defect that was asked for is about their number. It returns an error
// for a defect that does not exist.
func (s *Stack) Prove(p Proof) ([]string, error) {
	if p.Method == "" {
		p.Method = http.MethodPost
	}
	if p.URL == "" {
		p.URL = s.cfg.ServerURL + "/mcp"
	}
	d := s.prover.draft(p)
	if p.Defect != "" {
		at := slices.IndexFunc(proofDefects, func(candidate proofDefect) bool { return candidate.name == p.Defect })
		if at < 0 {
			return nil, fmt.Errorf("unknown defect %q; there are %s", p.Defect, strings.Join(ProofDefects(), ", "))
		}
		proofDefects[at].spoil(d)
	}
	proofs := []string{}
	for range d.count {
		proof, err := d.assemble()
		if err != nil {
			return nil, fmt.Errorf("make a proof: %w", err)
		}
		proofs = append(proofs, proof)
	}
	return proofs, nil
}

// proofDraft is a proof before it is signed.
type proofDraft struct {
	signer   *ecdsa.PrivateKey
	key      *ecdsa.PrivateKey
	stranger *ecdsa.PrivateKey
	previous string // "jti" of the proof before this one
	count    int

	header, claims object
	sign           func(d *proofDraft, input []byte) ([]byte, error)
}

func (p *prover) draft(want Proof) *proofDraft {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := &proofDraft{
		signer: p.key, key: p.key, stranger: p.stranger, previous: p.last, count: 1,
		header: object{{"typ", "dpop+jwt"}, {"alg", "ES256"}, {"jwk", publicJWK(p.key)}},
		claims: object{{"jti", rand.Text()}, {"htm", want.Method}, {"htu", want.URL}, {"iat", time.Now().Unix()}},
		sign:   signES256,
	}
	if want.Token != "" {
		sum := sha256.Sum256([]byte(want.Token))
		d.claims.add("ath", segment(sum[:]))
	}
	if want.Nonce != "" {
		d.claims.add("nonce", want.Nonce)
	}
	p.last, _ = d.claims.value("jti").(string)
	return d
}

func publicJWK(key *ecdsa.PrivateKey) jose.JSONWebKey { return jose.JSONWebKey{Key: key.Public()} }

// assemble serializes and signs the draft.
func (d *proofDraft) assemble() (string, error) {
	return compact(d.header, d.claims, func(input []byte) ([]byte, error) { return d.sign(d, input) })
}

// signES256 writes both halves at their full length (RFC 7518 section 3.4).
func signES256(d *proofDraft, input []byte) ([]byte, error) {
	sum := sha256.Sum256(input)
	r, s, err := ecdsa.Sign(rand.Reader, d.signer, sum[:])
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
}

// prove answers POST /dev/proofs, for curl and tests on this machine.
func (s *Stack) prove(w http.ResponseWriter, r *http.Request) error {
	form, err := postedForm(w, r)
	if err != nil {
		return err
	}
	for name := range form {
		if !slices.Contains(proofParameters, name) {
			return badRequest(oauth.CodeInvalidRequest, "Unknown parameter; there are "+strings.Join(proofParameters, ", "))
		}
	}
	proofs, err := s.Prove(Proof{
		Token: form.Get("token"), Method: form.Get("method"), URL: form.Get("url"),
		Nonce: form.Get("nonce"), Defect: form.Get("defect"),
	})
	if err != nil {
		return badRequest(oauth.CodeInvalidRequest, err.Error())
	}
	return writeJSON(w, http.StatusOK, map[string]any{"proofs": proofs, "jkt": s.prover.thumbprint})
}

var proofParameters = []string{"token", "method", "url", "nonce", "defect"}

// proveHelp answers GET /dev/proofs: what may be asked for.
func (s *Stack) proveHelp(w http.ResponseWriter, _ *http.Request) error {
	about := map[string]string{}
	for _, known := range proofDefects {
		about[known.name] = known.about
	}
	return writeJSON(w, http.StatusOK, map[string]any{"parameters": proofParameters, "defects": about, "jkt": s.prover.thumbprint})
}

// provenKey returns the thumbprint of the key that a token request proves with
// DPoP, "" without a proof. It is the stand-in's own reading of RFC 9449 section
// 4.3, so that the server under development is not judged by itself.
func provenKey(r *http.Request, endpoint string) (string, error) {
	values := r.Header.Values(oauth.SchemeDPoP)
	if len(values) == 0 {
		return "", nil
	}
	refused := func(why string) (string, error) {
		return "", badRequest(oauth.CodeInvalidDPoPProof, "The DPoP proof does not hold: "+why)
	}
	if len(values) > 1 {
		return refused("there are several")
	}
	signed, err := jose.ParseSignedCompact(values[0], []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA})
	if err != nil {
		return refused("it is not a signed JWT")
	}
	header := signed.Signatures[0].Protected
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != "dpop+jwt" || header.JSONWebKey == nil || !header.JSONWebKey.IsPublic() {
		return refused("its header is not that of a proof")
	}
	payload, err := signed.Verify(header.JSONWebKey)
	if err != nil {
		return refused("wrong signature")
	}
	claims, err := readProofClaims(payload)
	switch {
	case err != nil || claims.ID == "":
		return refused("its claims are not readable")
	case claims.Method != http.MethodPost || claims.URL != endpoint:
		return refused("it was made for another endpoint")
	case time.Since(claims.at()).Abs() > time.Minute:
		return refused("it is not of this minute")
	}
	return keyThumbprint(header.JSONWebKey.Key)
}

// proofClaims is what the token endpoint reads of a proof.
type proofClaims struct {
	ID       string `json:"jti"`
	Method   string `json:"htm"`
	URL      string `json:"htu"`
	IssuedAt int64  `json:"iat"`
}

func (c proofClaims) at() time.Time { return time.Unix(c.IssuedAt, 0) }

func readProofClaims(payload []byte) (proofClaims, error) {
	var claims proofClaims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return proofClaims{}, fmt.Errorf("claims: %w", err)
	}
	return claims, nil
}
