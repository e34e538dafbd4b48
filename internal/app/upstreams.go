package app

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/credential"
	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
	"tecrolabs.dev/oauth-mcp-server/internal/upstream"
)

// maxCredentialFile bounds a file with a secret, a key or certificates, in bytes.
const maxCredentialFile = 1 << 20

// upstreams makes the clients of a catalogue's APIs. Each API has connections,
// caches and a circuit breaker of its own, and nothing of an earlier catalogue.
type upstreams struct {
	policy    egress.Policy
	lookupEnv func(string) (string, bool)
	telemetry *telemetry.Provider // nil: nothing is measured
	logger    *slog.Logger        // nil: nobody is told

	senders    map[string]tool.Sender
	transports []*http.Transport
}

// close ends idle connections; those in use end when their call does.
func (u *upstreams) close() {
	for _, transport := range u.transports {
		transport.CloseIdleConnections()
	}
}

// add makes the client of one API. Files and variables that the catalogue names
// are read here.
func (u *upstreams) add(declared tool.Upstream) error {
	transport, err := u.transport(declared, declared.TLS)
	if err != nil {
		return err
	}
	credentials, err := u.credentials(declared)
	if err != nil {
		return err
	}
	client, err := upstream.New(upstream.Config{
		Name:            declared.Name,
		URL:             declared.URL,
		Credentials:     credentials,
		Header:          fixedHeader(declared),
		Timeout:         declared.Timeout,
		MaxResponse:     declared.MaxResponse,
		MaxConcurrent:   declared.MaxConcurrent,
		MaxQueue:        declared.MaxQueue,
		Retries:         declared.Retries,
		FollowRedirects: declared.FollowRedirects,
		Cache:           declared.Cache,
		Transport:       transport,
		Logger:          u.logger,
		Meter:           u.telemetry.Meter(),
		Tracer:          u.telemetry.Tracer(),
		Propagator:      u.telemetry.Propagator(),
	})
	if err != nil {
		return err
	}
	u.senders[declared.Name] = client
	return nil
}

// fixedHeader is what every request to an API has.
func fixedHeader(declared tool.Upstream) http.Header {
	header := http.Header{}
	for name, value := range declared.Headers {
		header.Set(name, value)
	}
	return header
}

// transport returns a way to an API or to its token endpoint.
func (u *upstreams) transport(declared tool.Upstream, files tool.TLSFiles) (*http.Transport, error) {
	config, err := clientTLS(files)
	if err != nil {
		return nil, err
	}
	policy := u.policy
	policy.Allow = slices.Concat(policy.Allow, declared.AllowNetworks)
	transport := egress.NewTransportWithin(policy, config, egress.Limits{
		Connect: declared.ConnectTimeout, Response: declared.ResponseTimeout,
	})
	u.transports = append(u.transports, transport)
	return transport, nil
}

// credentials makes what an API's credential mode says.
func (u *upstreams) credentials(declared tool.Upstream) (upstream.Credentials, error) {
	switch declared.Credential {
	case tool.CredentialForward:
		return credential.Forward{Upstream: declared.Name}, nil
	case tool.CredentialNone:
		return credential.None{}, nil
	case tool.CredentialStatic:
		return u.static(declared.Static)
	}
	tokens := declared.Tokens
	endpoint, err := u.endpoint(declared)
	if err != nil {
		return nil, err
	}
	target := credential.Target{Audience: tokens.Audience, Resource: tokens.Resource, Scopes: tokens.Scopes}
	if declared.Credential == tool.CredentialClient {
		return credential.NewSelf(credential.SelfConfig{Upstream: declared.Name, Endpoint: endpoint, Target: target})
	}
	return credential.NewExchange(credential.ExchangeConfig{
		Upstream: declared.Name, Endpoint: endpoint, Target: target, OnBehalfOf: tokens.OnBehalfOf,
		SubjectType: tokens.SubjectType, RequestedType: tokens.RequestedType,
		ActorFile: tokens.ActorFile, ActorType: tokens.ActorType,
	})
}

func (u *upstreams) static(declared *tool.Static) (upstream.Credentials, error) {
	value, err := u.secret(declared.Secret)
	if err != nil {
		return nil, err
	}
	if declared.User != "" {
		return credential.NewBasic(declared.User, value), nil
	}
	return credential.NewStatic(declared.Header, secret.New(declared.Prefix+value.Reveal()))
}

func (u *upstreams) endpoint(declared tool.Upstream) (*credential.Endpoint, error) {
	tokens := declared.Tokens
	transport, err := u.transport(declared, tokens.TLS)
	if err != nil {
		return nil, err
	}
	client := credential.ClientConfig{
		ID: tokens.Client.ID, Auth: credential.ClientAuth(tokens.Client.Auth),
		KeyID: tokens.Client.KeyID, Audience: tokens.Client.Audience, TokenFile: tokens.Client.TokenFile,
	}
	if tokens.Client.Secret != (tool.Secret{}) {
		if client.Secret, err = u.secret(tokens.Client.Secret); err != nil {
			return nil, err
		}
	}
	if tokens.Client.KeyFile != "" {
		if client.Key, err = readKey(tokens.Client.KeyFile); err != nil {
			return nil, err
		}
	}
	return credential.NewEndpoint(credential.EndpointConfig{URL: tokens.URL, Client: client, Transport: transport})
}

// secret reads a secret from where the catalogue says it is.
func (u *upstreams) secret(from tool.Secret) (secret.Value, error) {
	if from.File != "" {
		data, err := readCredential(from.File)
		if err != nil {
			return secret.Value{}, err
		}
		value := secret.New(strings.TrimRight(string(data), "\r\n"))
		if !value.IsSet() {
			return secret.Value{}, fmt.Errorf("the file %s is empty; put the secret into it", from.File)
		}
		return value, nil
	}
	if u.lookupEnv != nil {
		if text, ok := u.lookupEnv(from.Env); ok && text != "" {
			return secret.New(text), nil
		}
	}
	return secret.Value{}, fmt.Errorf("the environment variable %s is not set; set it to the secret", from.Env)
}

func readKey(path string) (crypto.Signer, error) {
	data, err := readCredential(path)
	if err != nil {
		return nil, err
	}
	key, err := secret.New(string(data)).PrivateKey()
	if err != nil {
		return nil, fmt.Errorf("the file %s: %w", path, err)
	}
	return key, nil
}

// clientTLS reads the files of a TLS client; nil means the usual.
func clientTLS(files tool.TLSFiles) (*tls.Config, error) {
	if files == (tool.TLSFiles{}) {
		return nil, nil //nolint:nilnil // no settings are an answer
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if files.CA != "" {
		data, err := readCredential(files.CA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("the file %s holds no certificate in PEM form", files.CA)
		}
	}
	if files.Cert != "" {
		certificate, err := tls.LoadX509KeyPair(files.Cert, files.Key)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("the files %s and %s must be a PEM certificate chain and its key", files.Cert, files.Key), err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}

func readCredential(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the operator's own file
	if err != nil {
		return nil, err // it has the path
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxCredentialFile+1)) //nolint:forbidigo // bounded by the line's own limit
	if err == nil && len(data) > maxCredentialFile {
		err = fmt.Errorf("the file %s is larger than %d bytes", path, maxCredentialFile)
	}
	return data, err
}
