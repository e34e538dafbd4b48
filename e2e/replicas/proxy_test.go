package replicas

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"
)

// maxBody bounds the messages that the proxy reads, in bytes.
const maxBody = 1 << 20

// proxy hands every request to the next replica, over a connection of its own.
// It keeps Host, Origin and Authorization, and passes on at once what comes. A
// replica that takes no connection is skipped: nothing was sent to it. Anything
// else that goes wrong is a 502, and nothing is sent twice.
type proxy struct {
	URL     string // http://localhost:PORT
	witness *witness

	reverse *httputil.ReverseProxy

	mu       sync.Mutex
	replicas []string // addresses
	next     int
}

// startProxy listens until the test ends. [proxy.use] says for whom.
func startProxy(t *testing.T) *proxy {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{URL: "http://localhost:" + port, witness: newWitness()}
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true, DialContext: p.dial}
	p.reverse = &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "replica"})
			r.Out.Host = r.In.Host
		},
		ModifyResponse: p.witness.watch,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo), // streams of killed replicas
	}
	server := &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		transport.CloseIdleConnections()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the proxy ended with %v", err)
		}
	})
	return p
}

// use sets the addresses of the replicas.
func (p *proxy) use(addresses ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replicas = addresses
}

// turn returns the replicas, the next one first.
func (p *proxy) turn() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.replicas) == 0 {
		return nil
	}
	first := p.next % len(p.replicas)
	p.next++
	return append(append([]string{}, p.replicas[first:]...), p.replicas[:first]...)
}

// dial connects to the next replica that takes connections.
func (p *proxy) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	err := errors.New("there are no replicas")
	for _, address := range p.turn() {
		var connection net.Conn
		if connection, err = new(net.Dialer).DialContext(ctx, network, address); err == nil {
			return connection, nil
		}
	}
	return nil, err
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		p.reverse.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // the client is gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	noted := &noting{ResponseWriter: w}
	p.reverse.ServeHTTP(noted, r)
	p.witness.posted(r.URL, body, noted.status)
}

// noting remembers the status of a response.
type noting struct {
	http.ResponseWriter

	status int // 0: there was none
}

func (n *noting) WriteHeader(status int) {
	n.status = status
	n.ResponseWriter.WriteHeader(status)
}

// Unwrap lets the reverse proxy flush.
func (n *noting) Unwrap() http.ResponseWriter { return n.ResponseWriter }
