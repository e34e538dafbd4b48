package cluster

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valkey-io/valkey-go"
	"golang.org/x/sync/errgroup"

	"tecrolabs.dev/oauth-mcp-server/internal/seal"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Bounds of the connection to the store.
const (
	dialTimeout    = 2 * time.Second
	commandTimeout = 2 * time.Second
	silenceTimeout = 3 * time.Second // a store that answers no PING this long is gone
	minBackoff     = 100 * time.Millisecond
	maxBackoff     = 2 * time.Second
	bufferSize     = 64 << 10 // bytes, of each direction
)

// ErrUnavailable is wrapped by every error that means the store, or the replica
// asked, cannot be reached now.
var ErrUnavailable = errors.New("cluster: not reachable")

// Config is what a [Bus] is made of.
type Config struct {
	// URL of the store: redis:// or rediss://, with user, password and number of
	// the database if it has them.
	URL secret.Value
	// Roots are the authorities that may sign the certificate of a rediss://
	// store; nil means those of the system.
	Roots *x509.CertPool
	// Namespace keeps servers apart that share a store; all replicas of one
	// server have the same.
	Namespace string
	// Key seals what is in the store, the same on every replica.
	Key    secret.Value
	Logger *slog.Logger
	// MarksChanged is called after the list of marks has become another one; see
	// [Bus.Mark]. It may be nil, and must not wait.
	MarksChanged func()
}

// Handler takes a message of another replica and returns the reply, which is
// dropped where nobody asked. It must not wait: it runs in one of few workers.
type Handler func(ctx context.Context, from string, message []byte) (reply []byte)

// Bus connects this replica with the others. Use [New], then [Bus.Run]. It is
// safe for concurrent use.
type Bus struct {
	options valkey.ClientOption
	prefix  string
	replica string
	sealer  seal.Sealer
	blinder []byte // hides the names of buckets
	buckets *valkey.Lua
	logger  *slog.Logger

	inbox  chan string   // sealed envelopes, not looked at yet
	outbox chan parcel   // what nobody waits for
	renew  chan struct{} // one slot: write the records again
	reload chan struct{} // one slot: load the marks

	marks        atomic.Pointer[marks] // nil before they were loaded
	marksChanged func()

	mu      sync.Mutex
	client  valkey.Client // nil while there is no connection
	since   time.Time     // of the last change between client and none
	settled time.Time     // from then on, a missing record means no session
	held    map[string][]byte
	pending map[string]chan []byte
}

// New returns a Bus that is not connected yet. It fails on a URL that cannot be
// read, and does not repeat it.
func New(cfg Config) (*Bus, error) {
	if cfg.Logger == nil || cfg.Namespace == "" || !cfg.Key.IsSet() {
		return nil, errors.New("cluster: namespace, key and logger are required")
	}
	options, err := valkey.ParseURL(strings.TrimSuffix(cfg.URL.Reveal(), "/")) // a path without a number
	if err != nil {
		return nil, errors.New("cluster: the URL of the store cannot be read") // err may hold the password
	}
	sealer, err := seal.New([]byte(cfg.Key.Reveal()), "oauth-mcp-server cluster")
	if err != nil {
		return nil, err
	}
	if options.TLSConfig != nil {
		options.TLSConfig.RootCAs = cfg.Roots
	}
	options.Dialer = net.Dialer{Timeout: dialTimeout}
	options.ConnWriteTimeout = silenceTimeout
	options.ForceSingleClient = true
	options.DisableRetry = true // who asked decides
	options.DisableCache = true
	options.PipelineMultiplex = -1 // one connection: it carries everything or nothing
	options.ReadBufferEachConn, options.WriteBufferEachConn = bufferSize, bufferSize
	namespace := sha256.Sum256([]byte(cfg.Namespace))
	return &Bus{
		options: options,
		prefix:  "oauth-mcp-server:" + hex.EncodeToString(namespace[:8]) + ":",
		replica: rand.Text(),
		sealer:  sealer,
		blinder: blinder(cfg.Key),
		buckets: valkey.NewLuaScript(takeScript),
		logger:  cfg.Logger,
		inbox:   make(chan string, maxQueued),
		outbox:  make(chan parcel, maxQueued),
		renew:   make(chan struct{}, 1),
		reload:  make(chan struct{}, 1),
		since:   time.Now(),
		held:    map[string][]byte{},
		pending: map[string]chan []byte{},

		marksChanged: cfg.MarksChanged,
	}, nil
}

// Replica returns the name of this replica, another one at each start.
func (b *Bus) Replica() string { return b.replica }

// Reachable reports whether the store can be reached, and since when that is
// so.
func (b *Bus) Reachable() (ok bool, since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.client != nil, b.since
}

// Run keeps the connection, hands messages to handle and renews the records
// until ctx ends. It returns when all of that has stopped.
func (b *Bus) Run(ctx context.Context, handle Handler) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { b.stayConnected(ctx); return nil })
	group.Go(func() error { b.renewRecords(ctx); return nil })
	group.Go(func() error { b.sendParcels(ctx); return nil })
	group.Go(func() error { b.followMarks(ctx); return nil })
	for range workers {
		group.Go(func() error { b.work(ctx, handle); return nil })
	}
	return group.Wait()
}

// stayConnected makes one connection after the other. Each is used from the
// confirmation of its subscription until it breaks.
func (b *Bus) stayConnected(ctx context.Context) {
	backoff, first := minBackoff, true
	for ctx.Err() == nil {
		connected, err := b.connection(ctx)
		if ctx.Err() != nil {
			return
		}
		if connected {
			backoff = minBackoff
		}
		if connected || first {
			b.logger.WarnContext(ctx, "the cluster's store cannot be reached; streams stay open, messages for other replicas are refused", slog.String("error", err.Error()))
		}
		first = false
		wait := time.NewTimer(backoff/2 + mathrand.N(backoff/2)) //nolint:gosec // jitter, not security
		select {
		case <-wait.C:
		case <-ctx.Done():
		}
		wait.Stop()
		backoff = min(2*backoff, maxBackoff)
	}
}

// connection connects, subscribes and receives until the connection breaks.
func (b *Bus) connection(ctx context.Context) (connected bool, err error) {
	client, err := valkey.NewClient(b.options)
	if err != nil {
		return false, err
	}
	defer client.Close()
	defer b.connect(nil)
	subscribed := make(chan struct{})
	var once sync.Once
	hooked := valkey.WithOnSubscriptionHook(ctx, func(s valkey.PubSubSubscription) {
		if s.Kind != "subscribe" {
			return
		}
		if s.Channel == b.marksKey() { // what was told before this was told to nobody here
			b.reloadSoon()
			return
		}
		once.Do(func() {
			b.connect(client)
			close(subscribed)
			b.logger.InfoContext(ctx, "connected to the cluster's store", slog.String("replica", b.replica))
		})
	})
	channel := b.channel(b.replica)
	err = client.Receive(hooked, client.B().Subscribe().Channel(channel, b.marksKey()).Build(), func(m valkey.PubSubMessage) {
		switch m.Channel {
		case channel:
			b.take(ctx, m.Message)
		case b.marksKey():
			b.reloadSoon()
		}
	})
	if err == nil {
		err = errors.New("the subscription has ended")
	}
	select {
	case <-subscribed:
		return true, err
	default:
		return false, err
	}
}

// connect notes the connection, or that there is none.
func (b *Bus) connect(client valkey.Client) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if (b.client == nil) != (client == nil) {
		b.since = now
	}
	b.client, b.settled = client, now.Add(settleTime)
	if client != nil {
		select {
		case b.renew <- struct{}{}:
		default:
		}
		b.reloadSoon()
	}
}

// store returns the connection. The error wraps [ErrUnavailable].
func (b *Bus) store() (valkey.Client, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.client == nil {
		return nil, ErrUnavailable
	}
	return b.client, nil
}

func (b *Bus) channel(replica string) string { return b.prefix + "to:" + replica }

func (b *Bus) key(session string) string { return b.prefix + "session:" + session }
