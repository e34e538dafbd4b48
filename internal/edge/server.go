package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Bounds of a connection.
const (
	headerTimeout  = 10 * time.Second  // to send the request headers
	idleTimeout    = 120 * time.Second // between requests of a connection
	maxHeaderBytes = 64 << 10          // room for a 16 KiB token and a browser's cookies
)

// ServerConfig is what [Serve] needs.
type ServerConfig struct {
	Listener net.Listener
	Handler  http.Handler
	TLS      *tls.Config // nil: plain HTTP
	// Drain is called when the shutdown begins: streams have to end by
	// themselves, because the server waits for every answer. It does not wait.
	Drain func()
	// Wait waits until the streams whose connections were taken over have ended;
	// when its context ends before, it cuts them off and returns why.
	Wait func(ctx context.Context) error
	// Timeout bounds the shutdown; what still runs then is cut off.
	Timeout time.Duration
	Logger  *slog.Logger
}

// Serve answers requests until ctx ends, then stops accepting, finishes what
// was accepted and returns nil; an error means the server could not go on or
// had to cut answers off.
func Serve(ctx context.Context, cfg ServerConfig) error {
	server := &http.Server{
		Handler:           cfg.Handler,
		TLSConfig:         cfg.TLS,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
		// Requests outlive ctx: a signal must not cancel what was accepted.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	failed := make(chan error, 1)
	go func() { // ends with the server, whose end is awaited below
		if cfg.TLS != nil {
			failed <- server.ServeTLS(cfg.Listener, "", "")
			return
		}
		failed <- server.Serve(cfg.Listener)
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Timeout)
	defer cancel()
	if cfg.Drain != nil {
		cfg.Drain()
	}
	err := server.Shutdown(limit)
	if cfg.Wait != nil {
		err = errors.Join(err, cfg.Wait(limit))
	}
	if err != nil {
		err = fmt.Errorf("shutdown cut answers off after %s: %w", cfg.Timeout, errors.Join(err, server.Close()))
	}
	if serveErr := <-failed; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}
