package cluster

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Demand is one token of one bucket that all replicas share. The bucket holds
// Count tokens at most and fills up evenly in Per.
type Demand struct {
	Key   string // names the bucket; the store sees a keyed hash of it
	Count int
	Per   time.Duration
}

// takeScript is the generic cell rate algorithm over several buckets at once.
// A bucket is one number: when it will be full again, in microseconds of the
// store's clock, so that the clocks of replicas do not matter; a full one does
// not exist. KEYS are the buckets; ARGV has, for each, how long one token takes
// to come back and how long a whole bucket takes. The answer is the bucket that
// refuses, counted from 1, and how long it will, or 0 and nothing has refused.
const takeScript = `
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local full = {}
for i, key in ipairs(KEYS) do
  local one, all = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  full[i] = math.max(tonumber(redis.call('GET', key) or '0'), now) + one
  if full[i] - now > all then
    return {i, math.ceil(full[i] - now - all)}
  end
end
for i, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.0f', full[i]), 'PX', math.ceil((full[i] - now) / 1000))
end
return {0, 0}`

// Take takes a token from each bucket, or none: refused is the index of the
// first that has none, -1 when all had, and wait how long until it does. The
// error wraps [ErrUnavailable].
func (b *Bus) Take(ctx context.Context, demands []Demand) (refused int, wait time.Duration, err error) {
	client, err := b.store()
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var keys, args []string
	for _, d := range demands {
		mac := hmac.New(sha256.New, b.blinder)
		mac.Write([]byte(d.Key))
		keys = append(keys, b.prefix+"limit:"+hex.EncodeToString(mac.Sum(nil)[:16]))
		one := max(d.Per.Microseconds()/int64(max(d.Count, 1)), 1)
		args = append(args, strconv.FormatInt(one, 10), strconv.FormatInt(one*int64(d.Count), 10))
	}
	answer, err := b.buckets.Exec(ctx, client, keys, args).AsIntSlice()
	switch {
	case err != nil:
		return 0, 0, errors.Join(ErrUnavailable, err)
	case len(answer) != 2:
		return 0, 0, errors.Join(ErrUnavailable, errors.New("cluster: unexpected answer of the script"))
	}
	return int(answer[0]) - 1, time.Duration(answer[1]) * time.Microsecond, nil
}

// blinder is the key that bucket names are hashed with. They tell who calls
// what: a plain hash of an address or a tool could be guessed.
func blinder(key secret.Value) []byte {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write([]byte("oauth-mcp-server buckets"))
	return mac.Sum(nil)
}
