package cluster

import (
	"context"
	"time"

	"github.com/valkey-io/valkey-go"
)

// claimTimeout bounds the wait for a claim: a request waits for it.
const claimTimeout = 500 * time.Millisecond

// Claim reports whether no replica has claimed name within life. The error wraps
// [ErrUnavailable]; then nobody knows. The store sees name as it is.
func (b *Bus) Claim(ctx context.Context, name string, life time.Duration) (first bool, err error) {
	client, err := b.store()
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	claim := client.B().Set().Key(b.prefix + "once:" + name).Value("1").Nx().Px(life).Build()
	switch err := client.Do(ctx, claim).Error(); {
	case valkey.IsValkeyNil(err): // SET NX found it there
		return false, nil
	case err != nil:
		return false, unavailable(err)
	}
	return true, nil
}
