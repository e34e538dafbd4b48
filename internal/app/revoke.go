package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/cluster"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// sweepAgain is how long after a change of the list what is open is looked through
// once more: a request that passed the gate a moment before it may just have opened a
// stream.
const sweepAgain = time.Second

// revoked is the list of revocations as this replica uses it.
type revoked struct {
	names   *bearer.Revocations
	changed chan struct{} // one slot
}

// join connects this replica with the others: their streams, the proofs that were
// used, and what was revoked.
func (a *App) join() error {
	changed := make(chan struct{}, 1)
	var err error
	if a.cluster, err = newCluster(a.cfg, a.logger, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}); err != nil {
		return err
	}
	names, err := bearer.NewRevocations(bearer.RevocationsConfig{Key: a.cfg.SessionKey, List: a.cluster, Meter: a.telemetry.Meter()})
	a.revoked = &revoked{names: names, changed: changed}
	return err
}

func newCluster(cfg config.Config, logger *slog.Logger, marksChanged func()) (*cluster.Bus, error) {
	roots, err := loadAuthorities(cfg.ClusterCAFile)
	if err != nil {
		return nil, fmt.Errorf("CLUSTER_CA_FILE: %w", err)
	}
	return cluster.New(cluster.Config{
		URL: cfg.ClusterURL, Roots: roots, Namespace: cfg.ServerURL, Key: cfg.SessionKey, Logger: logger,
		MarksChanged: marksChanged,
	})
}

// check returns the look-up for the verifier, nil where nothing can be revoked.
func (r *revoked) check() func(oauth.Principal) bool {
	if r == nil {
		return nil
	}
	return r.names.Revoked
}

// endRevoked ends what is open for revoked tokens whenever the list changes. New
// requests are refused by the verifier.
func (a *App) endRevoked(ctx context.Context) {
	again := time.NewTimer(sweepAgain)
	defer again.Stop()
	for {
		select {
		case <-a.revoked.changed:
			again.Reset(sweepAgain)
		case <-again.C:
		case <-ctx.Done():
			return
		}
		a.mcp.EndStreams(func(owner oauth.Binding, tokenID string) bool {
			return a.revoked.names.Revoked(oauth.Principal{
				Issuer: owner.Issuer, Subject: owner.Subject, ClientID: owner.ClientID, TokenID: tokenID,
			})
		})
		a.handler.EndRequests(a.revoked.names.Revoked)
	}
}

// RevokeOptions is what the revoke command hands over.
type RevokeOptions struct {
	Config     config.Config // valid as far as ServerURL, SessionKey and ClusterURL go
	Revocation bearer.Revocation
	For        time.Duration
	Undo       bool // take it back
}

// RevokeResult is what the command prints.
type RevokeResult struct {
	Revoked  string    `json:"revoked"`
	Until    time.Time `json:"until,omitzero"` // zero when it was taken back
	Replicas int64     `json:"replicas"`       // that were told at once
}

// Revoke puts tokens on the list that all replicas share, or takes them off.
func Revoke(ctx context.Context, opts RevokeOptions) (RevokeResult, error) {
	if !opts.Config.ClusterURL.IsSet() {
		return RevokeResult{}, errors.New("CLUSTER_URL is not set: the list of revocations is in the store that replicas share. " +
			"Without one, revoke at the identity provider; tokens that were issued go on until they expire, so keep their lifetime short")
	}
	names, err := bearer.NewRevocations(bearer.RevocationsConfig{Key: opts.Config.SessionKey})
	if err != nil {
		return RevokeResult{}, err
	}
	name, err := names.Name(opts.Revocation)
	if err != nil {
		return RevokeResult{}, err
	}
	bus, err := newCluster(opts.Config, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return RevokeResult{}, err
	}
	done, err := bus.Connect()
	if err != nil {
		return RevokeResult{}, storeAway(err)
	}
	defer done()
	result := RevokeResult{Revoked: described(opts.Revocation)}
	if opts.Undo {
		result.Replicas, err = bus.Unmark(ctx, name)
		return result, storeAway(err)
	}
	result.Until = time.Now().Add(opts.For).UTC().Truncate(time.Second)
	result.Replicas, err = bus.Mark(ctx, name, opts.For)
	return result, storeAway(err)
}

// storeAway says which setting an error of the store is about.
func storeAway(err error) error {
	if errors.Is(err, cluster.ErrUnavailable) {
		return fmt.Errorf("CLUSTER_URL: %w", err)
	}
	return err
}

func described(r bearer.Revocation) string {
	switch {
	case r.TokenID != "":
		return "token " + r.TokenID
	case r.ClientID != "":
		return "client " + r.ClientID
	case r.Issuer != "":
		return "subject " + r.Subject + " of " + r.Issuer
	}
	return "subject " + r.Subject + " of any issuer"
}

// WriteText writes the result for people.
func (r RevokeResult) WriteText(w io.Writer) error {
	what := "Taken back: " + r.Revoked + "."
	if !r.Until.IsZero() {
		what = "Revoked until " + r.Until.Format(time.RFC3339) + ": " + r.Revoked + "."
	}
	_, err := fmt.Fprintf(w, "%s Replicas told: %d.\n", what, r.Replicas)
	return err
}

// WriteJSON writes the result as one JSON object.
func (r RevokeResult) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// OK reports that nothing is wrong: what is goes back as an error.
func (RevokeResult) OK() bool { return true }
