package login

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// redirect is the one page the browser comes back to.
type redirect struct {
	uri     string // as the authorization server is told
	path    string
	server  *http.Server
	done    chan struct{} // closed when the server has ended
	results chan result   // the first outcome

	mu      sync.Mutex
	attempt attempt // zero until expect: no redirect is taken
}

type result struct {
	code secret.Value
	err  error
}

// listen opens the port of a loopback redirect URI (RFC 8252 section 7.3). Port
// 0, or none, takes a free one.
func listen(ctx context.Context, uri string) (*redirect, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("the redirect URI %q is not http://HOST:PORT/PATH", uri)
	}
	address := map[string]string{"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}[u.Hostname()]
	if address == "" {
		return nil, fmt.Errorf("the host of the redirect URI is %q; it must be 127.0.0.1, localhost or [::1]", u.Hostname())
	}
	port := u.Port()
	if port == "" {
		port = "0"
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(address, port))
	if err != nil {
		return nil, fmt.Errorf("the redirect URI's port: %w", err)
	}
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	u.Host = net.JoinHostPort(u.Hostname(), port)
	if u.Path == "" {
		u.Path = "/"
	}
	r := &redirect{uri: u.String(), path: u.Path, done: make(chan struct{}), results: make(chan result, 1)}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: requestTimeout, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout, MaxHeaderBytes: 64 << 10}
	go func() {
		defer close(r.done)
		if err := r.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			r.finish(result{err: err})
		}
	}()
	return r, nil
}

// expect says which attempt's answer may come.
func (r *redirect) expect(a attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempt = a
}

// wait returns the code that the browser brings.
func (r *redirect) wait(ctx context.Context) (secret.Value, error) {
	select {
	case got := <-r.results:
		return got.code, got.err
	case <-ctx.Done():
		return secret.Value{}, context.Cause(ctx)
	}
}

// close ends the server once the page is delivered, even where ctx has ended.
func (r *redirect) close(ctx context.Context) {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if r.server.Shutdown(ctx) != nil {
		_ = r.server.Close() // a browser that keeps a connection half open
	}
	<-r.done
}

func (r *redirect) finish(outcome result) {
	select {
	case r.results <- outcome:
	default: // the first one counts
	}
}

// ServeHTTP takes the redirect. A request with another state is somebody else's
// and changes nothing.
func (r *redirect) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	expected := r.attempt
	r.mu.Unlock()
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Type", "text/plain; charset=utf-8")
	query := request.URL.Query()
	switch {
	case request.URL.Path != r.path || request.Method != http.MethodGet:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "There is nothing here.\n")
		return
	case expected.state == "" || subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(expected.state)) != 1:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "This is not the answer to a sign-in that is under way.\n")
		return
	}
	code, err := expected.read(query)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "The sign-in did not work; the terminal says why. You can close this page.\n")
	} else {
		_, _ = io.WriteString(w, "You are signed in. You can close this page.\n")
	}
	r.finish(result{code, err})
}

// read takes the code out of an answer of the right issuer (RFC 9207 section
// 2.4); of any other nothing is believed, not even the error.
func (a attempt) read(query url.Values) (secret.Value, error) {
	server := a.found.server
	for _, values := range query {
		if len(values) > 1 {
			return secret.Value{}, errors.New("the answer repeats a parameter")
		}
	}
	switch issuer := query.Get("iss"); {
	case query.Has("iss") && issuer != server.Issuer:
		return secret.Value{}, errors.New("the answer comes from another authorization server (RFC 9207)")
	case !query.Has("iss") && server.IssParameter:
		return secret.Value{}, errors.New("the answer does not say who sent it (RFC 9207)")
	case query.Get("error") != "":
		return secret.Value{}, refused("the authorization server refused", query.Get("error"), query.Get("error_description"))
	case query.Get("code") == "":
		return secret.Value{}, errors.New("the answer has no code")
	}
	return secret.New(query.Get("code")), nil
}
