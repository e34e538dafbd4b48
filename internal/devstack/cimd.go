package devstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"tecrolabs.dev/oauth-mcp-server/internal/egress"
)

// Bounds of fetching a client id metadata document
// (draft-ietf-oauth-client-id-metadata-document).
const (
	maxDocument      = 16 << 10 // bytes
	documentTimeout  = 5 * time.Second
	documentLifetime = 5 * time.Minute
	offlineLifetime  = 30 * time.Second // until an unreachable document is tried again
)

// errUnreachable means that nobody answered at a document's URL.
var errUnreachable = errors.New("client document: nobody answers at its URL")

// documents finds the clients whose id is the URL of a document that describes
// them. Unlike a deployed server it may fetch from loopback, where tests and
// clients under development live.
type documents struct {
	http *http.Client
	now  func() time.Time

	mu     sync.Mutex
	cached *bounded[string, fetched]
}

type fetched struct {
	client *client
	until  time.Time
}

func newDocuments(transport http.RoundTripper, now func() time.Time) *documents {
	return &documents{
		http: &http.Client{
			Transport: transport,
			Timeout:   documentTimeout,
			// A redirect would let one site vouch for another's id.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		now:    now,
		cached: newBounded[string, fetched](maxDocuments),
	}
}

// client returns the client that the document at id describes.
func (d *documents) client(ctx context.Context, id string) (*client, error) {
	if err := checkDocumentURL(id); err != nil {
		return nil, err
	}
	d.mu.Lock()
	hit, ok := d.cached.get(id)
	d.mu.Unlock()
	if ok && d.now().Before(hit.until) {
		return hit.client, nil
	}
	found, lifetime, err := d.load(ctx, id)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cached.put(id, fetched{client: found, until: d.now().Add(lifetime)})
	return found, nil
}

// load fetches the document, or does without it on a machine that is offline:
// Claude Code and Codex identify themselves by such a URL, and development must
// not need the internet. A client that could not be looked up is shown as
// unverified and may only return to this machine.
func (d *documents) load(ctx context.Context, id string) (*client, time.Duration, error) {
	body, err := d.fetch(ctx, id)
	if errors.Is(err, errUnreachable) && strings.HasPrefix(id, "https://") {
		return &client{id: id, name: "unverified client (offline)", authMethod: oidc.AuthMethodNone, anyLoopback: true}, offlineLifetime, nil
	}
	if err != nil {
		return nil, 0, err
	}
	found, err := clientFromDocument(id, body)
	return found, documentLifetime, err
}

// checkDocumentURL applies the draft's rules for such an id: https (or http on
// loopback), a path, no dot segments, no fragment, no user information.
func checkDocumentURL(id string) error {
	u, err := url.Parse(id)
	switch {
	case err != nil || len(id) > maxURL || u.Host == "":
		return errors.New("the client id is not a URL")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopbackHost(u.Hostname())):
		return errors.New("the client id is neither an https URL nor http on loopback")
	case u.User != nil || strings.Contains(id, "#"):
		return errors.New("the client id has user information or a fragment")
	case u.Path == "" || u.Path == "/" || hasDotSegment(u):
		return errors.New("the client id has no path, or one with dot segments")
	}
	return nil
}

func (d *documents) fetch(ctx context.Context, id string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, id, nil) //nolint:gosec // fetching this URL is the feature; the transport guards addresses
	if err != nil {
		return nil, fmt.Errorf("client document: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	response, err := d.http.Do(request) //nolint:gosec // see above
	if unreachable(err) {
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	if err != nil {
		return nil, fmt.Errorf("client document: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("client document: status %d", response.StatusCode)
	}
	mediaType, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" && !strings.HasSuffix(mediaType, "+json") {
		return nil, errors.New("client document: the answer is not JSON")
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1)) //nolint:forbidigo // bounded by the line's own limit
	if err != nil {
		return nil, fmt.Errorf("client document: %w", err)
	}
	if len(body) > maxDocument {
		return nil, fmt.Errorf("client document: larger than %d bytes", maxDocument)
	}
	return body, nil
}

// unreachable tells a network that is not there from everything else: an
// address that must not be dialled is refused, not unreachable.
func unreachable(err error) bool {
	if err == nil || errors.Is(err, egress.ErrForbiddenAddress) {
		return false
	}
	_, dial := errors.AsType[*net.OpError](err)
	_, name := errors.AsType[*net.DNSError](err)
	return dial || name || errors.Is(err, context.DeadlineExceeded)
}

// clientFromDocument reads a document, which has to be about the URL it was
// fetched from. Shared secrets cannot be in a public document, so only public
// clients are described by one here.
func clientFromDocument(id string, body []byte) (*client, error) {
	var metadata clientMetadata
	if err := json.Unmarshal(body, &metadata); err != nil {
		return nil, errors.New("client document: not a JSON object of client metadata")
	}
	if metadata.ClientID != id {
		return nil, errors.New("client document: its client_id is not its URL")
	}
	if metadata.AuthMethod != "" && metadata.AuthMethod != "none" {
		return nil, errors.New("client document: only token_endpoint_auth_method none is supported")
	}
	if refusal := metadata.check(); refusal != nil {
		return nil, fmt.Errorf("client document: %s", refusal.Description)
	}
	return &client{id: id, name: metadata.ClientName, authMethod: oidc.AuthMethodNone, redirectURIs: metadata.RedirectURIs}, nil
}
