package diagnose

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// verifyTimeout bounds a whole verification.
const verifyTimeout = 3 * time.Minute

// VerifyConfig says which server to look at.
type VerifyConfig struct {
	// URL is the MCP endpoint, or the server's origin: then /mcp is looked for
	// there, and the origin itself taken if it is the endpoint.
	URL string
	// Token is a good access token for the server. Without one the checks that
	// need it are skipped.
	Token secret.Value
	// Origin is a browser origin that the server allows; "" means its own.
	Origin string
	// Transport decides what may be dialled.
	Transport http.RoundTripper
}

// Verify runs every check of the table against a running server and returns
// their findings. It returns an error when there is nothing to look at: a URL
// that is none, or a token that would cross the network in the clear.
func Verify(ctx context.Context, cfg VerifyConfig) (Report, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return Report{}, errors.New("the URL must be an absolute http or https URL without query, fragment and user information")
	}
	if cfg.Token.IsSet() {
		if err := discovery.CheckURL(cfg.URL); err != nil {
			return Report{}, fmt.Errorf("the token is not sent: %w", err)
		}
	}
	if cfg.Transport == nil {
		return Report{}, errors.New("diagnose: Transport is required")
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	p := &probe{
		client: &http.Client{
			Transport:     cfg.Transport,
			Timeout:       requestTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		fetcher:  discovery.NewFetcher(cfg.Transport),
		origin:   u.Scheme + "://" + u.Host,
		endpoint: cfg.URL,
		token:    cfg.Token,
		browser:  cfg.Origin,
		random:   strings.ToLower(rand.Text()),
	}
	if p.browser == "" {
		p.browser = p.origin
	}
	report := Report{Target: cfg.URL}
	first := p.locate(ctx, strings.Trim(u.Path, "/") == "")
	report.Target = p.endpoint
	report.Findings = append(report.Findings, finding(reachable, first))
	for _, c := range checks() {
		var result outcome
		switch {
		case first.status == Fail:
			result = skip("the server does not answer")
		case ctx.Err() != nil:
			result = skip("out of time")
		case c.token && !p.token.IsSet():
			result = skip("needs a token")
		default:
			result = c.run(ctx, p)
		}
		report.Findings = append(report.Findings, finding(c, result))
	}
	p.closeSessions(ctx)
	return report, nil
}

func finding(c check, o outcome) Finding {
	return Finding{Name: c.name, Status: o.status, Requirements: c.requirements, Source: c.source, Detail: printable(o.detail)}
}

// locate finds the endpoints: with bare, the MCP endpoint below an origin; then
// an HTTP+SSE endpoint beside it.
func (p *probe) locate(ctx context.Context, bare bool) outcome {
	if bare {
		for _, candidate := range []string{p.origin, p.origin + "/mcp"} {
			p.endpoint = candidate
			if r, err := p.post(ctx, nil); err == nil && r.status == http.StatusUnauthorized {
				break
			}
		}
	}
	r, err := p.post(ctx, nil)
	if err != nil {
		return fail("no answer: %v", err)
	}
	p.sse = p.locateSSE(ctx)
	return good("%s answers %d", p.endpoint, r.status)
}

// locateSSE returns the URL of an HTTP+SSE endpoint, or "". A server that
// answers 401 to whatever path cannot be told from one that has it.
func (p *probe) locateSSE(ctx context.Context) string {
	base := strings.TrimSuffix(p.endpoint, "/")
	if r, err := p.openStream(ctx, base+"/"+p.random, false); err != nil || r.status == http.StatusUnauthorized {
		return ""
	}
	for _, candidate := range []string{base + "/sse", p.origin + "/sse"} {
		if r, err := p.openStream(ctx, candidate, false); err == nil && r.status == http.StatusUnauthorized {
			return candidate
		}
	}
	return ""
}
