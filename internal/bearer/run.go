package bearer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// How Run waits between loads.
const (
	firstRetry = time.Second      // after the first failure, then doubled
	lastRetry  = 30 * time.Second // at most
)

// Run loads every issuer's keys and keeps them fresh until ctx ends: about every
// five minutes, and after a failure again within one second up to thirty. It
// returns nil when ctx ends and nothing it started is left. Call it once.
// [Verifier.Verify] works without it, but then the first requests wait for keys.
func (v *Verifier) Run(ctx context.Context) error {
	var group sync.WaitGroup
	for _, i := range v.issuers {
		group.Go(func() { i.keep(ctx) })
	}
	group.Wait()
	return nil
}

// keep loads again and again until ctx ends, then stops what is in progress and
// waits for it.
func (i *issuer) keep(ctx context.Context) {
	defer i.stop()
	retry := firstRetry
	for ctx.Err() == nil {
		pause := spread(refreshEvery)
		if err := i.reload(ctx); err != nil {
			pause = spread(retry)
			retry = min(2*retry, lastRetry)
		} else {
			retry = firstRetry
		}
		i.sleep(ctx, pause)
	}
}

// reload loads the keys now, whatever their age.
func (i *issuer) reload(ctx context.Context) error {
	i.mu.Lock()
	if i.asked { // counts as the load that unknown key ids may cause
		i.asked, i.doubtAt = false, i.now()
	}
	l := i.begin(ctx)
	i.mu.Unlock()
	_, err := l.wait(ctx)
	return err
}

// sleep waits for pause or ctx's end, or less when unknown key ids ask for a
// load before.
func (i *issuer) sleep(ctx context.Context, pause time.Duration) {
	deadline := time.Now().Add(pause)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case wait := <-i.wake:
			if earlier := time.Now().Add(wait); earlier.Before(deadline) {
				deadline = earlier
				timer.Reset(wait)
			}
		}
	}
}

func (i *issuer) stop() {
	i.mu.Lock()
	l := i.loading
	i.mu.Unlock()
	if l != nil {
		l.cancel()
		<-l.done
	}
	if i.introspector != nil {
		i.introspector.stop()
	}
}

// spread returns pause give or take a tenth, so that replicas that started
// together do not ask together.
func spread(pause time.Duration) time.Duration {
	return pause - pause/10 + rand.N(pause/5) //nolint:gosec // jitter is no secret
}

// KeyStatus is how old the signing keys of an issuer are.
type KeyStatus struct {
	Issuer string
	Loaded bool
	Age    time.Duration // since they were loaded; 0 when they never were
}

// Keys returns the status of every issuer's keys, in the order of the
// configuration.
func (v *Verifier) Keys() []KeyStatus {
	list := make([]KeyStatus, 0, len(v.issuers))
	for _, i := range v.issuers {
		status := KeyStatus{Issuer: i.label}
		if keys := i.current.Load(); keys != nil {
			status.Loaded, status.Age = true, i.now().Sub(keys.loadedAt)
		}
		list = append(list, status)
	}
	return list
}

// Unready returns why requests cannot be verified, one sentence per issuer
// without usable keys. Empty means ready. The sentences are safe to publish.
func (v *Verifier) Unready() []string {
	var reasons []string
	for _, i := range v.issuers {
		keys, ok := i.usable()
		switch {
		case ok:
		case keys == nil:
			reasons = append(reasons, fmt.Sprintf("the signing keys of %s have not been loaded", echo(i.label)))
		default:
			reasons = append(reasons, fmt.Sprintf("the signing keys of %s are older than %s and could not be refreshed", echo(i.label), maxKeyAge))
		}
	}
	return reasons
}
