package bearer

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/metric"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// maxRevocable bounds each text of a [Revocation], in bytes.
const maxRevocable = 2 << 10

// Revocation says whose tokens are worth nothing: those with an id, those of a
// subject, or those of a client. Exactly one of the three is set.
type Revocation struct {
	TokenID  string // "jti"
	Subject  string // "sub"
	Issuer   string // of Subject, exactly; "" means any
	ClientID string // "client_id" or "azp"
}

// RevocationList knows which names are on the list. It answers at once.
type RevocationList interface {
	Marked(name string) bool
	Marks() (count int, age time.Duration, ok bool)
}

// Revocations turns revocations into names on a list, and looks principals up
// there. The names are keyed hashes: who can read the list learns nobody's name.
type Revocations struct {
	key  []byte
	list RevocationList
}

// RevocationsConfig is what [Revocations] are made of.
type RevocationsConfig struct {
	// Key makes the names, the same on every replica and for who adds to the list.
	Key secret.Value
	// List is where principals are looked up; nil where nothing is.
	List  RevocationList
	Meter metric.Meter // nil means none
}

// NewRevocations returns Revocations. It fails without a key.
func NewRevocations(cfg RevocationsConfig) (*Revocations, error) {
	if !cfg.Key.IsSet() {
		return nil, errors.New("bearer: revocations need a key")
	}
	derived, err := hkdf.Key(sha256.New, []byte(cfg.Key.Reveal()), nil, "oauth-mcp-server revocation", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	v := &Revocations{key: derived, list: cfg.List}
	if cfg.Meter == nil || cfg.List == nil {
		return v, nil
	}
	return v, v.measure(cfg.Meter)
}

// measure shows how long the list is, and how old: while its store is away, the last
// one goes on.
func (v *Revocations) measure(meter metric.Meter) error {
	entries, err := meter.Int64ObservableGauge("oauth_mcp_server.revocations",
		metric.WithDescription("Entries of the list of revocations."), metric.WithUnit("1"))
	if err != nil {
		return err
	}
	age, err := meter.Float64ObservableGauge("oauth_mcp_server.revocations.age",
		metric.WithDescription("Time since the list of revocations was loaded."), metric.WithUnit("s"))
	if err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if count, old, ok := v.list.Marks(); ok {
			o.ObserveInt64(entries, int64(count))
			o.ObserveFloat64(age, old.Seconds())
		}
		return nil
	}, entries, age)
	return err
}

// Name returns the name that r has on the list. The error says what of r is wrong.
func (v *Revocations) Name(r Revocation) (string, error) {
	set := 0
	for _, text := range []string{r.TokenID, r.Subject, r.ClientID} {
		if text != "" {
			set++
		}
	}
	switch {
	case set != 1:
		return "", errors.New("name either a token, a subject or a client")
	case r.Issuer != "" && r.Subject == "":
		return "", errors.New("an issuer goes with a subject only")
	case max(len(r.TokenID), len(r.Subject), len(r.Issuer), len(r.ClientID)) > maxRevocable:
		return "", fmt.Errorf("no token has a name of more than %d bytes", maxRevocable)
	}
	return v.name(r), nil
}

// name is a keyed hash of all members, each with its length, so that no two
// revocations share one.
func (v *Revocations) name(r Revocation) string {
	mac := hmac.New(sha256.New, v.key)
	for _, text := range []string{r.TokenID, r.Subject, r.Issuer, r.ClientID} {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		mac.Write([]byte(text))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Revoked reports whether a token of p is worth nothing. With an empty list that
// costs nothing.
func (v *Revocations) Revoked(p oauth.Principal) bool {
	if count, _, _ := v.list.Marks(); count == 0 {
		return false
	}
	for _, r := range []Revocation{
		{TokenID: p.TokenID},
		{Subject: p.Subject},
		{Subject: p.Subject, Issuer: p.Issuer},
		{ClientID: p.ClientID},
	} {
		if (r.TokenID != "" || r.Subject != "" || r.ClientID != "") && v.list.Marked(v.name(r)) {
			return true
		}
	}
	return false
}
