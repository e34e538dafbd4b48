package bearer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// Bounds of a DPoP proof.
const (
	maxProof      = 8 << 10     // bytes
	maxProofClaim = 2 << 10     // bytes of one claim
	proofWindow   = time.Minute // between its "iat" and this server's clock, either way
)

// ProofAlgorithms lists what a DPoP proof may be signed with: asymmetric
// signatures only (RFC 9449 section 4.2).
func ProofAlgorithms() []string { return []string{es256, rs256, ps256, edDSA} }

// proof is a DPoP proof on its way through verification (RFC 9449 section 4.2).
type proof struct {
	raw     string
	payload []byte

	header    strictjson.Object
	algorithm string
	key       publicKey // the "jwk"; no use before keyErr was looked at
	keyErr    error
	jkt       string // thumbprint of key

	members strictjson.Object
	claims  proofClaims // decoded after the signature was verified

	request Presented
	bound   string // thumbprint of the key that the token is bound to
	now     time.Time
}

// proofClaims are the claims of a proof.
type proofClaims struct {
	id       string    // "jti"
	method   string    // "htm"
	url      string    // "htu"
	token    string    // "ath"
	nonce    string    // empty when there is none
	issuedAt time.Time // "iat"
}

// proofCheck is one step of verification; see [check].
type proofCheck struct {
	reason Reason
	run    func(*binding, *proof) string
}

// proofHeaderChecks come before the signature (RFC 9449 section 4.3, items 4 to
// 7).
var proofHeaderChecks = []proofCheck{
	{ProofType, (*binding).checkProofType},
	{ProofExtension, (*binding).checkProofExtension},
	{ProofAlgorithm, (*binding).checkProofAlgorithm},
	{ProofKey, (*binding).checkProofKey},
}

// proofClaimChecks come after it (items 8 to 12). What the proof was made for
// comes before when.
var proofClaimChecks = []proofCheck{
	{ProofMethod, (*binding).checkProofMethod},
	{ProofURL, (*binding).checkProofURL},
	{ProofToken, (*binding).checkProofToken},
	{ProofBinding, (*binding).checkProofBinding},
	{ProofTime, (*binding).checkProofTime},
	{ProofNonce, (*binding).checkProofNonce},
}

// proven verifies the one proof of a request against the key that its token is
// bound to. memory tells who remembers that the proof was used. The error is a
// [*oauth.Refusal].
func (b *binding) proven(ctx context.Context, jkt string, p Presented) (memory string, err error) {
	proof, err := parseProof(p)
	if err != nil {
		return "", err
	}
	proof.bound, proof.now = jkt, b.now()
	if err := b.passProof(proofHeaderChecks, proof); err != nil {
		return "", err
	}
	if err := proof.verifySignature(); err != nil {
		return "", err
	}
	if proof.claims, err = decodeProofClaims(proof.members); err != nil {
		return "", ProofClaim.refuseProof("A claim of the DPoP proof is not what it should be: "+err.Error()+".", err)
	}
	if err := b.passProof(proofClaimChecks, proof); err != nil {
		return "", err
	}
	return b.unused(ctx, proof)
}

// passProof runs checks in their order. A key that is not the token's makes the
// token the wrong one, and a nonce can be had; all else is the proof's fault.
func (b *binding) passProof(checks []proofCheck, p *proof) error {
	for _, c := range checks {
		sentence := c.run(b, p)
		switch {
		case sentence == "":
		case c.reason == ProofBinding:
			return underScheme(oauth.SchemeDPoP, c.reason.refuse(sentence, nil))
		case c.reason == ProofNonce:
			return oauth.InvalidProof(oauth.CodeUseDPoPNonce, string(c.reason), sentence, nil)
		default:
			return c.reason.refuseProof(sentence, nil)
		}
	}
	return nil
}

const malformedProofHint = "The DPoP proof is not one well-formed JWT; make it as RFC 9449 section 4.2 has it."

// parseProof reads the shape of the proof as strictly as a token's.
func parseProof(request Presented) (*proof, error) {
	switch len(request.Proofs) {
	case 0:
		return nil, ProofMissing.refuseProof("The request has no DPoP header; a token that is bound to a DPoP key needs a proof with each request.", nil)
	case 1:
	default:
		return nil, SeveralProofs.refuseProof("The request has several DPoP headers; send one.", nil)
	}
	raw := request.Proofs[0]
	segments := strings.Split(raw, ".")
	if len(raw) > maxProof || len(segments) != 3 {
		return nil, ProofMalformed.refuseProof(malformedProofHint, fmt.Errorf("%d bytes, %d segments", len(raw), len(segments)))
	}
	_, header, err := decodeObject(segments[0])
	if err != nil {
		return nil, ProofMalformed.refuseProof(malformedProofHint, fmt.Errorf("header: %w", err))
	}
	payload, members, err := decodeObject(segments[1])
	if err != nil {
		return nil, ProofMalformed.refuseProof(malformedProofHint, fmt.Errorf("claims: %w", err))
	}
	if _, err := decodeSegment(segments[2]); err != nil {
		return nil, ProofMalformed.refuseProof(malformedProofHint, fmt.Errorf("signature: %w", err))
	}
	for _, object := range []strictjson.Object{header, members} {
		if name := object.FoldedCollision(registeredInProof...); name != "" {
			return nil, ProofMalformed.refuseProof(malformedProofHint, fmt.Errorf("member %q", clip(name)))
		}
	}
	p := &proof{raw: raw, payload: payload, header: header, members: members, request: request}
	p.algorithm, _ = header.Text("alg") // none: not an algorithm of the list
	p.key, p.jkt, p.keyErr = proofKey(header)
	return p, nil
}

// registeredInProof lists the members that are read of a proof; see [registered].
var registeredInProof = []string{"typ", "alg", "jwk", "crit", "b64", "jti", "htm", "htu", "iat", "ath", "nonce"}

// privateMembers are the members of a JWK that hold a secret (RFC 7518 section 6).
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// proofKey reads the public key in a proof's header and its thumbprint (RFC
// 7638). It is the only place where a JWT brings its own key: what it proves is
// possession, and whose key it is, the token says.
func proofKey(header strictjson.Object) (key publicKey, thumbprint string, err error) {
	raw, _ := header.Get("jwk")
	members, err := strictjson.ParseObject(raw)
	if err != nil {
		return publicKey{}, "", fmt.Errorf("jwk: %w", err)
	}
	for _, name := range privateMembers {
		if _, present := members.Get(name); present {
			return publicKey{}, "", errors.New("jwk: it holds a secret")
		}
	}
	if key, err = parseKey(raw, ProofAlgorithms()); err != nil {
		return publicKey{}, "", err
	}
	sum, err := (&jose.JSONWebKey{Key: key.key}).Thumbprint(crypto.SHA256)
	return key, base64.RawURLEncoding.EncodeToString(sum), err
}

func (b *binding) checkProofType(p *proof) string {
	if declared, _ := p.header.Text("typ"); strings.TrimPrefix(strings.ToLower(declared), "application/") != "dpop+jwt" {
		return "The DPoP proof is of the type " + echo(declared) + "; it must be dpop+jwt."
	}
	return ""
}

func (b *binding) checkProofExtension(p *proof) string {
	_, crit := p.header.Get("crit")
	_, b64 := p.header.Get("b64")
	if crit || b64 {
		return "The DPoP proof's header demands an extension (crit, b64) that this server does not have."
	}
	return ""
}

// checkProofAlgorithm keeps out "none" and shared secrets (RFC 9449 section 11.6).
func (b *binding) checkProofAlgorithm(p *proof) string {
	if !slices.Contains(ProofAlgorithms(), p.algorithm) {
		return "The DPoP proof is signed with the algorithm " + echo(p.algorithm) + "; this server accepts " + strings.Join(ProofAlgorithms(), ", ") + "."
	}
	return ""
}

// checkProofKey wants a public key, strong enough and of the proof's algorithm.
func (b *binding) checkProofKey(p *proof) string {
	if p.keyErr != nil || !slices.Contains(p.key.algorithms, p.algorithm) {
		return "The DPoP proof's jwk is not a public key for its algorithm; put the public key there, and keep the private one."
	}
	return ""
}

func (p *proof) verifySignature() error {
	const hint = "The DPoP proof's signature does not fit its jwk; sign it with the key that belongs to it."
	signed, err := jose.ParseSignedCompact(p.raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(p.algorithm)})
	if err != nil {
		return ProofSignature.refuseProof(hint, err)
	}
	payload, err := signed.Verify(p.key.key)
	if err != nil || !bytes.Equal(payload, p.payload) {
		return ProofSignature.refuseProof(hint, err)
	}
	return nil
}

// decodeProofClaims reads the claims of a proof. The error names the first that
// is missing or not what it should be, without its value.
func decodeProofClaims(members strictjson.Object) (proofClaims, error) {
	var c proofClaims
	r := claimReader{members: members}
	read(&r, "jti", &c.id, proofText)
	read(&r, "htm", &c.method, proofText)
	read(&r, "htu", &c.url, proofText)
	read(&r, "iat", &c.issuedAt, dateClaim)
	read(&r, "ath", &c.token, proofText)
	read(&r, "nonce", &c.nonce, proofText)
	for _, name := range []string{"jti", "htm", "htu", "iat", "ath"} {
		if _, present := members.Get(name); !present && r.err == nil {
			r.err = errors.New(name + " is missing")
		}
	}
	return c, r.err
}

// proofText reads a text that is not empty and not long.
func proofText(raw json.RawMessage) (string, error) {
	text, err := textClaim(raw)
	if err == nil && (text == "" || len(text) > maxProofClaim) {
		err = errors.New("is empty or too long")
	}
	return text, err
}

// checkProofMethod compares exactly: methods are case-sensitive (RFC 9110 section
// 9.1).
func (b *binding) checkProofMethod(p *proof) string {
	if p.claims.method != p.request.Method {
		return "The DPoP proof was made for the method " + echo(p.claims.method) + ", and this request is " + echo(p.request.Method) + "; make a proof for each request."
	}
	return ""
}

// checkProofURL compares with this server's own URL, whatever Host the request
// names.
func (b *binding) checkProofURL(p *proof) string {
	made, err := targetURI(p.claims.url)
	here, hereErr := targetURI(b.cfg.ServerURL + p.request.Path)
	if err != nil || hereErr != nil || made != here {
		return "The DPoP proof was made for the URL " + echo(p.claims.url) + ", and this one is " + echo(b.cfg.ServerURL+p.request.Path) + "; make a proof for each request."
	}
	return ""
}

// checkProofToken wants the hash of the token that came along (RFC 9449 section
// 4.3 item 12).
func (b *binding) checkProofToken(p *proof) string {
	sum := sha256.Sum256([]byte(p.request.Token.Reveal()))
	if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(p.claims.token)) != 1 {
		return "The DPoP proof was made for another access token (ath); make a new proof when the token changes."
	}
	return ""
}

func (b *binding) checkProofBinding(p *proof) string {
	if subtle.ConstantTimeCompare([]byte(p.jkt), []byte(p.bound)) != 1 {
		return "The token is bound to another key than the one that signed the DPoP proof; sign with the key of the token request."
	}
	return ""
}

func (b *binding) checkProofTime(p *proof) string {
	if age := p.now.Sub(p.claims.issuedAt); age > proofWindow || age < -proofWindow {
		return "The DPoP proof is dated " + p.claims.issuedAt.Format(time.RFC3339) + ", which is more than a minute from this server's clock; make a proof for each request, and set the clock."
	}
	return ""
}

func (b *binding) checkProofNonce(p *proof) string {
	if b.nonces != nil && !b.nonces.valid(p.claims.nonce) {
		return "The DPoP proof needs a fresh nonce of this server; take the one in the DPoP-Nonce header and try again."
	}
	return ""
}
