package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// readyTimeout is how long the server may take to start.
const readyTimeout = 30 * time.Second

// server is the process under test, with the development stack it uses.
type server struct {
	address string // host:port
	url     string
	stack   *devstack.Stack
	trust   *x509.CertPool // nil: plain HTTP
	process *exec.Cmd
	stops   []func()

	mu     sync.Mutex
	tokens map[string]string // by person
}

func startServer(ctx context.Context, p plan, say func(string, ...any)) (*server, error) {
	s := &server{tokens: map[string]string{}}
	if err := s.start(ctx, p, say); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) start(ctx context.Context, p plan, say func(string, ...any)) error {
	folder, err := os.MkdirTemp("", "streams-")
	if err != nil {
		return err
	}
	s.stops = append(s.stops, func() { _ = os.RemoveAll(folder) })
	if p.binary == "" {
		say("building the server")
		p.binary = filepath.Join(folder, "oauth-mcp-server")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", p.binary, "./cmd/oauth-mcp-server") //nolint:gosec // a folder of this program's own
		if output, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("go build (run this in the root of the repository): %w\n%s", err, output)
		}
	}
	free, err := listen(ctx)
	if err != nil {
		return err
	}
	s.address = free.Addr().String()
	if err := free.Close(); err != nil { // for the process
		return err
	}
	_, port, _ := net.SplitHostPort(s.address)
	s.url = "http://localhost:" + port
	if p.tls {
		s.url = "https://localhost:" + port
	}
	if err := s.startStack(ctx); err != nil {
		return err
	}
	urls := s.stack.URLs()
	s.process = exec.CommandContext(ctx, p.binary, "serve") //nolint:gosec // the operator's own choice
	s.process.Dir = folder                                  // without anybody's .env
	s.process.Env = []string{
		"SERVER_URL=" + s.url, "LISTEN_ADDR=" + s.address, "LOG_LEVEL=error",
		"AUTHORIZATION_SERVERS=" + urls.AuthorizationServer, "JWT_ISSUER=" + urls.TokenIssuer, "OTUS_URL=" + urls.Otus,
		"RATE_LIMIT_PRINCIPAL=off", "RATE_LIMIT_TOOL=off", "RATE_LIMIT_GLOBAL=off", // one person makes all the load
	}
	if p.tls {
		if err := s.certify(folder); err != nil {
			return err
		}
	}
	log, err := os.Create(filepath.Join(folder, "log")) //nolint:gosec // a folder of this program's own
	if err != nil {
		return err
	}
	s.stops = append(s.stops, func() { _ = log.Close() })
	s.process.Stderr = log
	if err := s.process.Start(); err != nil {
		return err
	}
	s.stops = append(s.stops, func() {
		_ = s.process.Process.Signal(syscall.SIGTERM)
		_ = s.process.Wait() // its exit does not matter any more
	})
	return s.awaitReady(ctx)
}

func (s *server) startStack(ctx context.Context) error {
	auth, err := listen(ctx)
	if err != nil {
		return err
	}
	otus, err := listen(ctx)
	if err != nil {
		return err
	}
	s.stack, err = devstack.New(devstack.Config{AuthListener: auth, OtusListener: otus, ServerURL: s.url, TokenLifetime: time.Hour})
	if err != nil {
		return err
	}
	stackCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- s.stack.Run(stackCtx) }()
	s.stops = append(s.stops, func() {
		stop()
		if err := <-done; err != nil {
			_, _ = fmt.Fprintln(os.Stderr, "the development stack ended with:", err)
		}
	})
	return nil
}

func listen(ctx context.Context) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
}

// certify makes a certificate for localhost and tells the server of it.
func (s *server) certify(folder string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{
		"TLS_CERT_FILE": {Type: "CERTIFICATE", Bytes: der}, "TLS_KEY_FILE": {Type: "PRIVATE KEY", Bytes: encoded},
	} {
		file := filepath.Join(folder, strings.ToLower(name)+".pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
		s.process.Env = append(s.process.Env, name+"="+file)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	s.trust = x509.NewCertPool()
	s.trust.AddCert(certificate)
	return nil
}

func (s *server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	client := &http.Client{Transport: s.transport()}
	defer client.CloseIdleConnections()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(errors.New("the server did not get ready"), err)
		}
	}
}

// transport speaks HTTP/1.1 to the server.
func (s *server) transport() *http.Transport {
	return &http.Transport{TLSClientConfig: s.tlsConfig(), MaxIdleConnsPerHost: maxWorking}
}

func (s *server) tlsConfig() *tls.Config {
	if s.trust == nil {
		return nil
	}
	return &tls.Config{RootCAs: s.trust, ServerName: "localhost", MinVersion: tls.VersionTLS12}
}

// streamsOfOne is how many streams each person has, with one token for all of
// them. It is below the server's bound.
const streamsOfOne = 30

// token returns the token of a stream.
func (s *server) token(stream int) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	person := "bench|" + strconv.Itoa(stream/streamsOfOne)
	if token, known := s.tokens[person]; known {
		return token, nil
	}
	minted, err := s.stack.Mint(devstack.Mint{Subject: person, Lifetime: time.Hour})
	if err == nil {
		s.tokens[person] = minted.AccessToken
	}
	return minted.AccessToken, err
}

// resident returns the resident memory of the server in KiB.
func (s *server) resident() (int, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			return strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		}
	}
	return 0, errors.New("no VmRSS in /proc/PID/status: this needs Linux")
}

func (s *server) stop() {
	for _, stop := range s.stops {
		defer stop()
	}
}
