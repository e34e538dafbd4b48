package cluster

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/valkey-io/valkey-go"
)

// Bounds of the list of marks.
const (
	maxMarks     = 100_000
	maxMarkLife  = 30 * 24 * time.Hour
	marksRefresh = 10 * time.Second // for what no message told
)

// marks is the list as it was at one time: names, and until when each stands. It is
// never changed.
type marks struct {
	until    map[string]time.Time
	epoch    string // of the store that it came from
	loadedAt time.Time
}

// Marked reports whether name is marked for all replicas, as far as this one has
// heard: what the store said last goes on while it is away. It does no I/O.
func (b *Bus) Marked(name string) bool {
	list := b.marks.Load()
	if list == nil {
		return false
	}
	until, listed := list.until[name]
	return listed && time.Now().Before(until)
}

// Marks returns how many names are marked, and how old that knowledge is. ok is
// false before the store was heard for the first time.
func (b *Bus) Marks() (count int, age time.Duration, ok bool) {
	list := b.marks.Load()
	if list == nil {
		return 0, 0, false
	}
	return len(list.until), time.Since(list.loadedAt), true
}

// Mark marks name on all replicas for life, up to thirty days. A mark that stands
// longer already stays. told is how many replicas hear of it now; the others do when
// they load the list. The store sees name as it is.
func (b *Bus) Mark(ctx context.Context, name string, life time.Duration) (told int64, err error) {
	if life <= 0 || life > maxMarkLife {
		return 0, fmt.Errorf("cluster: a mark of %s is not between 0 and %s", life, maxMarkLife)
	}
	return b.changeMarks(ctx, func(client valkey.Client, now time.Time) ([]valkey.Completed, error) {
		count, err := client.Do(ctx, client.B().Zcard().Key(b.marksKey()).Build()).AsInt64()
		switch {
		case err != nil:
			return nil, unavailable(err)
		case count >= maxMarks:
			return nil, fmt.Errorf("cluster: %d names are marked already; take some back, or wait until they end", count)
		}
		return []valkey.Completed{
			client.B().Zadd().Key(b.marksKey()).Gt().ScoreMember().ScoreMember(score(now.Add(life)), name).Build(),
			client.B().Pexpire().Key(b.marksKey()).Milliseconds(maxMarkLife.Milliseconds()).Build(),
		}, nil
	})
}

// Unmark takes a mark back. One that is not there is no error.
func (b *Bus) Unmark(ctx context.Context, name string) (told int64, err error) {
	return b.changeMarks(ctx, func(client valkey.Client, _ time.Time) ([]valkey.Completed, error) {
		return []valkey.Completed{client.B().Zrem().Key(b.marksKey()).Member(name).Build()}, nil
	})
}

// unavailable says in one line that the store cannot be reached, and why.
func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

func (b *Bus) marksKey() string { return b.prefix + "marks" }

// score is a time as the store sorts by it.
func score(at time.Time) float64 { return float64(at.UnixMilli()) }

// changeMarks drops what has ended, does what change says and tells the replicas.
func (b *Bus) changeMarks(ctx context.Context, change func(valkey.Client, time.Time) ([]valkey.Completed, error)) (told int64, err error) {
	client, err := b.store()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	now := time.Now()
	ended := client.B().Zremrangebyscore().Key(b.marksKey()).Min("-inf").Max(strconv.FormatInt(now.UnixMilli(), 10)).Build()
	if err := client.Do(ctx, ended).Error(); err != nil {
		return 0, unavailable(err)
	}
	commands, err := change(client, now)
	if err != nil {
		return 0, err
	}
	for _, command := range commands {
		if err := client.Do(ctx, command).Error(); err != nil {
			return 0, unavailable(err)
		}
	}
	told, err = client.Do(ctx, client.B().Publish().Channel(b.marksKey()).Message("changed").Build()).AsInt64()
	if err != nil {
		return 0, unavailable(err)
	}
	return told, nil
}

// Connect makes a connection for a command that does a few things and has no
// [Bus.Run]. The caller must call done. The error wraps [ErrUnavailable].
func (b *Bus) Connect() (done func(), err error) {
	client, err := valkey.NewClient(b.options)
	if err != nil {
		return nil, unavailable(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.client = client
	return client.Close, nil
}

// followMarks loads the list after each new connection, when a message says that it
// has changed, and from time to time.
func (b *Bus) followMarks(ctx context.Context) {
	ticker := time.NewTicker(marksRefresh)
	defer ticker.Stop()
	for {
		select {
		case <-b.reload:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		b.loadMarks(ctx)
	}
}

// reloadSoon asks for the list. It does not wait.
func (b *Bus) reloadSoon() {
	select {
	case b.reload <- struct{}{}:
	default:
	}
}

// loadMarks gets the list and says so when it is another one. While the store is
// away the one before goes on.
func (b *Bus) loadMarks(ctx context.Context) {
	client, err := b.store()
	if err != nil {
		return // the next connection loads
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	before := b.marks.Load()
	list, err := b.fetchMarks(ctx, client, before)
	if err != nil {
		b.logger.WarnContext(ctx, "the list of marks was not loaded; the last one goes on", slog.String("error", err.Error()))
		return
	}
	b.marks.Store(list)
	if before != nil && maps.Equal(before.until, list.until) || before == nil && len(list.until) == 0 {
		return
	}
	b.logger.InfoContext(ctx, "the list of marks has changed", slog.Int("marks", len(list.until)))
	if b.marksChanged != nil {
		b.marksChanged()
	}
}

// fetchMarks gets the list. A store that has lost its memory has another epoch: it
// gets back what this replica knows before it is believed.
func (b *Bus) fetchMarks(ctx context.Context, client valkey.Client, before *marks) (*marks, error) {
	epochKey := b.prefix + "epoch"
	if err := client.Do(ctx, client.B().Set().Key(epochKey).Value(rand.Text()).Nx().Build()).Error(); err != nil && !valkey.IsValkeyNil(err) {
		return nil, err
	}
	epoch, err := client.Do(ctx, client.B().Get().Key(epochKey).Build()).ToString()
	if err != nil {
		return nil, err
	}
	if before != nil && before.epoch != epoch {
		if err := b.restoreMarks(ctx, client, before); err != nil {
			return nil, err
		}
	}
	now := time.Now()
	listed, err := client.Do(ctx, client.B().Zrangebyscore().Key(b.marksKey()).
		Min(strconv.FormatInt(now.UnixMilli(), 10)).Max("+inf").Withscores().Limit(0, maxMarks).Build()).AsZScores()
	if err != nil {
		return nil, err
	}
	list := &marks{until: make(map[string]time.Time, len(listed)), epoch: epoch, loadedAt: now}
	for _, mark := range listed {
		list.until[mark.Member] = time.UnixMilli(int64(mark.Score))
	}
	return list, nil
}

func (b *Bus) restoreMarks(ctx context.Context, client valkey.Client, known *marks) error {
	var commands []valkey.Completed
	for name, until := range known.until {
		commands = append(commands, client.B().Zadd().Key(b.marksKey()).Gt().ScoreMember().ScoreMember(score(until), name).Build())
	}
	for batch := range slices.Chunk(commands, renewBatch) {
		for _, result := range client.DoMulti(ctx, batch...) {
			if err := result.Error(); err != nil {
				return err
			}
		}
	}
	return nil
}
