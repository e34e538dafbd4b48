package cluster

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valkey-io/valkey-go"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest/teststore"
)

func TestReq062_ReplicasShareBuckets(t *testing.T) {
	s := teststore.Start(t)
	replicas := []*Bus{replica(t, s, "key"), replica(t, s, "key"), replica(t, s, "key")}
	demands := []Demand{{"principal:ana", 40, time.Hour}, {"global:", 1000, time.Hour}}
	var taken, refused atomic.Int32
	var group sync.WaitGroup
	for n := range 60 {
		group.Go(func() {
			index, wait, err := replicas[n%len(replicas)].Take(t.Context(), demands)
			switch {
			case err != nil:
				t.Error(err)
			case index == -1 && wait == 0:
				taken.Add(1)
			case index == 0 && wait > 0 && wait <= 90*time.Second: // one token comes back in 90 s
				refused.Add(1)
			default:
				t.Errorf("index %d, wait %s", index, wait)
			}
		})
	}
	group.Wait()
	if taken.Load() != 40 || refused.Load() != 20 {
		t.Errorf("%d taken, %d refused, want 40 and 20", taken.Load(), refused.Load())
	}
	if index, _, err := replicas[0].Take(t.Context(), []Demand{{"principal:bruno", 40, time.Hour}, {"global:", 1000, time.Hour}}); index != -1 || err != nil {
		t.Errorf("another principal: %d, %v", index, err)
	}
}

// What one bucket refuses takes nothing from the others, and a token comes back
// in its time.
func TestBucketsAreTakenTogetherAndFillUp(t *testing.T) {
	bus := replica(t, teststore.Start(t), "key")
	small, large := Demand{"tool:teams", 1, 200 * time.Millisecond}, Demand{"global:", 2, time.Hour}
	take := func(demands ...Demand) (int, time.Duration) {
		index, wait, err := bus.Take(t.Context(), demands)
		if err != nil {
			t.Fatal(err)
		}
		return index, wait
	}
	if index, _ := take(small); index != -1 {
		t.Fatalf("the first: %d", index)
	}
	for range 5 {
		if index, wait := take(large, small); index != 1 || wait > small.Per {
			if index == -1 {
				break // the machine was slow and the token has come back
			}
			t.Fatalf("%d, %s", index, wait)
		}
	}
	eventually(t, "the token is back", func() bool { index, _ := take(small); return index == -1 })
	if index, _ := take(large); index != -1 {
		t.Error("refused calls took tokens of another bucket")
	}
}

func TestBucketsNameNobody(t *testing.T) {
	s := teststore.Start(t)
	bus := replica(t, s, "key")
	if _, _, err := bus.Take(t.Context(), []Demand{{"address:192.0.2.77", 10, time.Minute}}); err != nil {
		t.Fatal(err)
	}
	options, err := valkey.ParseURL(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	options.ForceSingleClient, options.DisableCache = true, true
	client, err := valkey.NewClient(options)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	keys, err := client.Do(t.Context(), client.B().Keys().Pattern("*limit:*").Build()).AsStrSlice()
	if err != nil || len(keys) != 1 || strings.Contains(keys[0], "192.0.2.77") {
		t.Errorf("%v, %v", keys, err)
	}
	life, err := client.Do(t.Context(), client.B().Pttl().Key(keys[0]).Build()).AsInt64()
	if err != nil || life <= 0 || life > time.Minute.Milliseconds() {
		t.Errorf("a bucket lives %d ms: %v", life, err)
	}
}

func TestBucketsWithoutAStore(t *testing.T) {
	s := teststore.Start(t)
	bus := replica(t, s, "key")
	s.Stop()
	eventually(t, "it knows", func() bool { ok, _ := bus.Reachable(); return !ok })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, _, err := bus.Take(ctx, []Demand{{"global:", 1, time.Minute}}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}
