package bearer

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"
)

// The life of a nonce: a new one each step, good for nonceSteps more.
const (
	nonceStep  = 30 * time.Second
	nonceSteps = 10
)

// nonceBytes is the size of a nonce: its step, and half a SHA-256.
const nonceBytes = 8 + sha256.Size/2

// nonces makes and recognises the nonces of DPoP proofs (RFC 9449 section 9). A
// nonce is the time, authenticated, so it needs no memory, and every replica with
// the same key takes it.
type nonces struct {
	key []byte
	now func() time.Time
}

func newNonces(material []byte, now func() time.Time) (*nonces, error) {
	key, err := hkdf.Key(sha256.New, material, nil, "oauth-mcp-server dpop nonce", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return &nonces{key: key, now: now}, nil
}

// current returns the nonce of this step.
func (n *nonces) current() string { return n.at(n.step()) }

func (n *nonces) step() int64 { return n.now().Unix() / int64(nonceStep/time.Second) }

func (n *nonces) at(step int64) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(step)) //nolint:gosec // a time, written and read as bits
	mac := hmac.New(sha256.New, n.key)
	mac.Write(raw)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(raw)[:nonceBytes])
}

// valid reports whether text is a nonce of this server that is not too old. One
// step ahead is fine: another replica's clock made it.
func (n *nonces) valid(text string) bool {
	raw, err := decodeSegment(text)
	if err != nil || len(raw) != nonceBytes {
		return false
	}
	step := int64(binary.BigEndian.Uint64(raw)) //nolint:gosec // as above
	age := n.step() - step
	return age >= -1 && age <= nonceSteps && hmac.Equal([]byte(n.at(step)), []byte(text))
}
