package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// Metadata is what this server reads of an authorization server's metadata
// (RFC 8414 section 2, RFC 9207 section 3).
type Metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	RegistrationEndpoint  string   `json:"registration_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	ScopesSupported       []string `json:"scopes_supported"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	IssParameter          bool     `json:"authorization_response_iss_parameter_supported"`
	ClientIDMetadata      bool     `json:"client_id_metadata_document_supported"`
	DPoPAlgorithms        []string `json:"dpop_signing_alg_values_supported"`
}

// SupportsS256 reports whether the metadata lists PKCE with S256.
func (m Metadata) SupportsS256() bool { return slices.Contains(m.ChallengeMethods, "S256") }

// MetadataURLs returns where the metadata of issuer may be published, in the
// order clients try: RFC 8414 with path insertion, OpenID discovery inserted,
// OpenID discovery appended. Without a path the last two are one.
func MetadataURLs(issuer string) ([]string, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("issuer %q is not an absolute URL without query and fragment", issuer)
	}
	origin := u.Scheme + "://" + u.Host
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	forms := []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + "/.well-known/openid-configuration" + path,
	}
	if path != "" {
		forms = append(forms, origin+path+"/.well-known/openid-configuration")
	}
	return forms, nil
}

// Metadata fetches the metadata of issuer, in whichever form it is published.
// Its issuer must be the one asked for (RFC 8414 section 3.3); the other
// trailing-slash form is let through, so that a caller can tell the operator
// and use the discovered one.
func (f *Fetcher) Metadata(ctx context.Context, issuer string) (Metadata, error) {
	forms, err := MetadataURLs(issuer)
	if err != nil {
		return Metadata{}, err
	}
	var problems []error
	for _, form := range forms {
		metadata, err := f.metadataAt(ctx, form, issuer)
		if err == nil {
			return metadata, nil
		}
		problems = append(problems, err)
	}
	return Metadata{}, errors.Join(problems...)
}

func (f *Fetcher) metadataAt(ctx context.Context, form, issuer string) (Metadata, error) {
	body, err := f.Document(ctx, form)
	if err != nil {
		return Metadata{}, err
	}
	var metadata Metadata
	if err := json.Unmarshal(body, &metadata); err != nil {
		return Metadata{}, fmt.Errorf("%s is not authorization server metadata: %w", form, err)
	}
	if strings.TrimSuffix(metadata.Issuer, "/") != strings.TrimSuffix(issuer, "/") {
		return Metadata{}, fmt.Errorf("%s names the issuer %q, not %q", form, metadata.Issuer, issuer)
	}
	for name, endpoint := range map[string]string{
		"authorization_endpoint": metadata.AuthorizationEndpoint,
		"token_endpoint":         metadata.TokenEndpoint,
		"jwks_uri":               metadata.JWKSURI,
		"introspection_endpoint": metadata.IntrospectionEndpoint,
	} {
		if endpoint == "" {
			continue
		}
		if err := CheckURL(endpoint); err != nil {
			return Metadata{}, fmt.Errorf("%s: %s: %w", form, name, err)
		}
	}
	return metadata, nil
}

// How long fetched metadata is used, and how soon a failed fetch is tried
// again.
const (
	metadataLifetime = 10 * time.Minute
	metadataRetry    = time.Second
)

// Source keeps the metadata of one authorization server: fetched when first
// asked for, refreshed after ten minutes, kept through an outage. Use
// [NewSource]. It is safe for concurrent use and starts no goroutine.
type Source struct {
	fetcher *Fetcher
	issuer  string
	now     func() time.Time
	flight  singleflight.Group

	mu        sync.Mutex
	last      Metadata
	lastErr   error
	fetchedAt time.Time // of last; zero before the first success
	triedAt   time.Time // of the last attempt
}

// NewSource returns a Source for issuer. now may be nil for the wall clock.
func NewSource(fetcher *Fetcher, issuer string, now func() time.Time) *Source {
	if now == nil {
		now = time.Now
	}
	return &Source{fetcher: fetcher, issuer: issuer, now: now}
}

// Issuer returns the issuer as configured.
func (s *Source) Issuer() string { return s.issuer }

// Known returns the metadata that is at hand, without any I/O.
func (s *Source) Known() (Metadata, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, !s.fetchedAt.IsZero()
}

// Metadata returns the metadata, fetching it when there is none or it is old.
// During an outage the last good metadata goes on being used; an error means
// there has never been any.
func (s *Source) Metadata(ctx context.Context) (Metadata, error) {
	s.mu.Lock()
	now, last, lastErr := s.now(), s.last, s.lastErr
	have := !s.fetchedAt.IsZero()
	fresh := have && now.Sub(s.fetchedAt) < metadataLifetime
	tooSoon := !s.triedAt.IsZero() && now.Sub(s.triedAt) < metadataRetry
	s.mu.Unlock()
	switch {
	case fresh || have && tooSoon:
		return last, nil
	case tooSoon && lastErr != nil:
		return Metadata{}, lastErr
	}
	// The fetch outlives the caller that happened to come first.
	result := s.flight.DoChan("metadata", func() (any, error) {
		return s.refresh(context.WithoutCancel(ctx))
	})
	select {
	case <-ctx.Done():
		return Metadata{}, context.Cause(ctx)
	case r := <-result:
		if r.Err == nil {
			return r.Val.(Metadata), nil //nolint:errcheck,forcetypeassert // refresh returns Metadata
		}
		if have {
			return last, nil
		}
		return Metadata{}, r.Err
	}
}

func (s *Source) refresh(ctx context.Context) (Metadata, error) {
	metadata, err := s.fetcher.Metadata(ctx, s.issuer)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.triedAt, s.lastErr = s.now(), err
	if err == nil {
		s.last, s.fetchedAt = metadata, s.triedAt
	}
	return metadata, err
}
