package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	openers      = 64               // that open idle streams at a time
	callTimeout  = 30 * time.Second // from the POST to the answer
	streamsOnOne = 100              // HTTP/2 connection
)

// idleStreams are open and nothing is read from them.
type idleStreams struct {
	mu      sync.Mutex
	conns   []net.Conn
	bodies  []io.Closer
	clients []*http.Client
	ended   atomic.Int32
}

func openIdle(ctx context.Context, s *server, p plan) (*idleStreams, error) {
	all := &idleStreams{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(openers)
	if p.http2 {
		for first := 0; first < p.idle; first += streamsOnOne {
			group.Go(func() error { return all.openHTTP2(ctx, s, first, min(first+streamsOnOne, p.idle)) })
		}
	} else {
		for n := range p.idle {
			group.Go(func() error { return all.open(ctx, s, n) })
		}
	}
	if err := group.Wait(); err != nil {
		all.close()
		return nil, err
	}
	return all, nil
}

// open opens one stream with as little as possible on this side, so that this
// process is not what is measured.
func (i *idleStreams) open(ctx context.Context, s *server, n int) error {
	token, err := s.token(n)
	if err != nil {
		return err
	}
	var conn net.Conn
	if conn, err = new(net.Dialer).DialContext(ctx, "tcp", s.address); err != nil {
		return err
	}
	if s.trust != nil {
		conn = tls.Client(conn, s.tlsConfig())
	}
	i.mu.Lock()
	i.conns = append(i.conns, conn)
	i.mu.Unlock()
	if _, err := fmt.Fprintf(conn, "GET /mcp/sse HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nAccept: text/event-stream\r\n\r\n", token); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	read := 0
	for !bytes.Contains(answer[:read], []byte("session_id=")) {
		more, err := conn.Read(answer[read:])
		if err != nil || read+more == len(answer) {
			return fmt.Errorf("stream %d: %w after %q", n, errors.Join(err, errors.New("no session")), answer[:read])
		}
		read += more
	}
	return nil
}

// openHTTP2 opens streams from first up to end on one connection.
func (i *idleStreams) openHTTP2(ctx context.Context, s *server, first, end int) error {
	transport := s.transport()
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP2(true)
	client := &http.Client{Transport: transport}
	i.mu.Lock()
	i.clients = append(i.clients, client)
	i.mu.Unlock()
	for n := first; n < end; n++ {
		token, err := s.token(n)
		if err != nil {
			return err
		}
		body, _, err := openStream(context.WithoutCancel(ctx), client, s, token)
		if err != nil {
			return err
		}
		i.mu.Lock()
		i.bodies = append(i.bodies, body)
		i.mu.Unlock()
	}
	return nil
}

// lost returns how many plain connections the server has closed.
func (i *idleStreams) lost() int {
	for _, conn := range i.conns {
		_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		for comment := make([]byte, 1024); ; {
			_, err := conn.Read(comment)
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				break
			}
			if err != nil {
				i.ended.Add(1)
				break
			}
		}
	}
	return int(i.ended.Load())
}

func (i *idleStreams) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, conn := range i.conns {
		_ = conn.Close()
	}
	for _, body := range i.bodies {
		_ = body.Close()
	}
	for _, client := range i.clients {
		client.CloseIdleConnections()
	}
	i.conns, i.bodies, i.clients = nil, nil, nil
}

// openStream returns a stream after its endpoint event.
func openStream(ctx context.Context, client *http.Client, s *server, token string) (body io.ReadCloser, endpoint string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/mcp/sse", nil)
	if err != nil {
		return nil, "", err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(request)
	if err != nil {
		return nil, "", err
	}
	stream := bufio.NewReader(response.Body)
	for {
		line, err := stream.ReadString('\n')
		if err != nil {
			return nil, "", errors.Join(fmt.Errorf("no endpoint event: %s: %w", response.Status, err), response.Body.Close())
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			return readCloser{stream, response.Body}, strings.TrimSpace(data), nil
		}
	}
}

// readCloser reads where a buffer stands and closes what is behind it.
type readCloser struct {
	io.Reader
	io.Closer
}

// workers are streams that call, each one call after the other.
type workers struct {
	client *http.Client
	each   []*worker
}

type worker struct {
	url, token string
	lines      *bufio.Reader
	calls      int
}

func openWorkers(ctx context.Context, s *server, count int) (*workers, error) {
	w := &workers{client: &http.Client{Transport: s.transport()}}
	for n := range count {
		token, err := s.token(1_000_000 + n)
		if err != nil {
			return nil, err
		}
		body, endpoint, err := openStream(ctx, w.client, s, token)
		if err != nil {
			return nil, err
		}
		w.each = append(w.each, &worker{url: s.url + endpoint, token: token, lines: bufio.NewReader(body)})
	}
	return w, nil
}

// call makes that many calls, all workers together, and returns how long each
// took.
func (w *workers) call(ctx context.Context, calls int) (took []time.Duration, failed int, err error) {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, one := range w.each {
		group.Go(func() error {
			for range calls / len(w.each) {
				began := time.Now()
				ok, err := one.call(ctx, w.client)
				if err != nil {
					return err
				}
				mu.Lock()
				took = append(took, time.Since(began))
				if !ok {
					failed++
				}
				mu.Unlock()
			}
			return nil
		})
	}
	err = group.Wait()
	return took, failed, err
}

const toolCall = `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"otus_teams"}}`

// call makes one call and reports whether its answer is a result.
func (w *worker) call(ctx context.Context, client *http.Client) (ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	w.calls++
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, strings.NewReader(fmt.Sprintf(toolCall, w.calls)))
	if err != nil {
		return false, err
	}
	request.Header.Set("Authorization", "Bearer "+w.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return false, err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		return false, fmt.Errorf("a message was answered with %s", response.Status)
	}
	for {
		line, err := w.lines.ReadString('\n')
		if err != nil {
			return false, fmt.Errorf("a working stream ended: %w", err)
		}
		if data, found := strings.CutPrefix(line, "data: "); found {
			return strings.Contains(data, `"result"`) && !strings.Contains(data, `"isError":true`), nil
		}
	}
}
