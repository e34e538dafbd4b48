package credential

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// SelfConfig is what a [Self] is made of.
type SelfConfig struct {
	Upstream string // declared name of the API
	Endpoint *Endpoint
	Target   Target
}

// Self sends a token of this server itself, the same for every caller (RFC 6749
// section 4.4).
type Self struct {
	cfg   SelfConfig
	store *store
}

// NewSelf returns a source of this server's own tokens.
func NewSelf(cfg SelfConfig) (*Self, error) {
	if cfg.Upstream == "" || cfg.Endpoint == nil {
		return nil, errors.New("client credentials need an upstream and a token endpoint")
	}
	return &Self{cfg: cfg, store: newStore()}, nil
}

// Apply sends the token, a kept one if there is one.
func (s *Self) Apply(ctx context.Context, header http.Header, _ oauth.Principal, _ secret.Value) (string, error) {
	got, err := s.store.get(ctx, s.key(), time.Time{}, s.obtain)
	if err != nil {
		return "", err
	}
	header.Set("Authorization", "Bearer "+got.token.Reveal())
	return "", nil
}

// Rejected drops the kept token that the API did not accept.
func (s *Self) Rejected(header http.Header, _ oauth.Principal, _ secret.Value) bool {
	return s.store.rejected(s.key(), header)
}

func (s *Self) key() digest { return digestOf(s.cfg.Upstream) }

func (s *Self) obtain(ctx context.Context) (issued, error) {
	form := url.Values{"grant_type": {grantClient}}
	s.cfg.Target.add(form)
	got, err := s.cfg.Endpoint.obtain(ctx, s.cfg.Upstream, form, "")
	got.actor = "" // it speaks for nobody but this server
	return got, err
}
