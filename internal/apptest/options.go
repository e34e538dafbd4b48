package apptest

import (
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// Option changes how a [System] is started.
type Option func(*options)

type options struct {
	features      app.Features
	signIn        string
	tokenLifetime time.Duration
	idpFault      devstack.IdPFault
	configure     []func(*config.Config, *devstack.Stack)
	stack         bool
	ready         bool
}

// WithConfig changes the server's configuration before it starts.
func WithConfig(change func(*config.Config)) Option {
	return WithStackConfig(func(cfg *config.Config, _ *devstack.Stack) { change(cfg) })
}

// WithStackConfig is [WithConfig] for what depends on the stack, such as its
// addresses and secrets.
func WithStackConfig(change func(*config.Config, *devstack.Stack)) Option {
	return func(o *options) { o.configure = append(o.configure, change) }
}

// WithIntrospection has the server ask the token signer about those tokens:
// opaque, jwt or all.
func WithIntrospection(tokens string) Option {
	return WithStackConfig(func(cfg *config.Config, stack *devstack.Stack) {
		cfg.Introspect, cfg.IntrospectionClientID, cfg.IntrospectionClientSecret = tokens, devstack.DevResourceID, stack.ResourceSecret()
	})
}

// WithSignIn signs user in instead of Ana; "" asks for a person.
func WithSignIn(user string) Option {
	return func(o *options) { o.signIn = user }
}

// WithTokenLifetime sets how long access tokens live; the default is an hour.
func WithTokenLifetime(lifetime time.Duration) Option {
	return func(o *options) { o.tokenLifetime = lifetime }
}

// WithIDPFault starts with an identity provider that misbehaves. Start does not
// wait for readiness then.
func WithIDPFault(fault devstack.IdPFault) Option {
	return func(o *options) { o.idpFault, o.ready = fault, false }
}

// WithoutStack starts the server while nothing answers at the addresses of the
// identity provider and of Otus: connections are taken by the kernel and
// hang. Start does not wait for readiness then; [System.StartStack] brings the
// stack up.
func WithoutStack() Option {
	return func(o *options) { o.stack, o.ready = false, false }
}

// WithFeatures serves these instead of the catalogue.
func WithFeatures(features app.Features) Option {
	return func(o *options) { o.features = features }
}
