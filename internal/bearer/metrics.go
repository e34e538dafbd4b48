package bearer

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// instruments are what this package measures. Every label is from a closed
// list: [Reasons], the configured issuers, and the words below.
type instruments struct {
	verifications  metric.Int64Counter
	fetches        metric.Int64Counter
	lookups        metric.Int64Counter
	introspections metric.Int64Counter

	reasons   map[string]metric.MeasurementOption // made once: they are on the way of every request
	hit, miss metric.MeasurementOption
}

// newInstruments makes the instruments of v, nil meter for none. The gauges ask
// v when they are read.
func newInstruments(meter metric.Meter, v *Verifier) (instruments, error) {
	if meter == nil {
		meter = noop.Meter{}
	}
	i := instruments{
		reasons: map[string]metric.MeasurementOption{},
		hit:     metric.WithAttributeSet(attribute.NewSet(telemetry.KeyResult.String("hit"))),
		miss:    metric.WithAttributeSet(attribute.NewSet(telemetry.KeyResult.String("miss"))),
	}
	for _, reason := range append(Reasons(), accepted) {
		i.reasons[string(reason)] = metric.WithAttributeSet(attribute.NewSet(telemetry.KeyReason.String(string(reason))))
	}
	var problems [6]error
	i.verifications, problems[0] = meter.Int64Counter("oauth_mcp_server.token.verifications",
		metric.WithDescription("Access tokens that were judged, by the reason of the verdict; ok is good."), metric.WithUnit("{token}"))
	i.fetches, problems[1] = meter.Int64Counter("oauth_mcp_server.key.fetches",
		metric.WithDescription("Loads of an issuer's signing keys, by result: ok or failed."), metric.WithUnit("{fetch}"))
	i.lookups, problems[2] = meter.Int64Counter("oauth_mcp_server.token.cache.lookups",
		metric.WithDescription("Look-ups of verified tokens, by result: hit or miss."), metric.WithUnit("{lookup}"))
	i.introspections, problems[3] = meter.Int64Counter("oauth_mcp_server.token.introspections",
		metric.WithDescription("Questions to an issuer about a token, by result: active, inactive or failed."), metric.WithUnit("{call}"))
	_, problems[4] = meter.Int64ObservableUpDownCounter("oauth_mcp_server.token.cache.entries",
		metric.WithDescription("Verified tokens that are remembered."), metric.WithUnit("{token}"),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(v.verified.len()))
			return nil
		}))
	_, problems[5] = meter.Float64ObservableGauge("oauth_mcp_server.key.age",
		metric.WithDescription("Age of an issuer's signing keys. They are used up to 24 hours; more than a few minutes means that its key set cannot be had."), metric.WithUnit("s"),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			for _, status := range v.Keys() {
				if status.Loaded {
					o.Observe(status.Age.Seconds(), metric.WithAttributes(telemetry.KeyIssuer.String(status.Issuer)))
				}
			}
			return nil
		}))
	return i, errors.Join(problems[:]...)
}

// accepted is the reason of a token that is good. It is no [Reason] to refuse.
const accepted Reason = "ok"

// judged counts the verdict on one token.
func (i instruments) judged(ctx context.Context, err error) {
	reason := string(accepted)
	if err != nil {
		reason = oauth.AsRefusal(err).Reason
	}
	i.verifications.Add(ctx, 1, i.reasons[reason])
}

// looked counts one look-up of a verified token.
func (i instruments) looked(ctx context.Context, hit bool) {
	label := i.miss
	if hit {
		label = i.hit
	}
	i.lookups.Add(ctx, 1, label)
}

// fetched counts one load of an issuer's keys.
func (i instruments) fetched(ctx context.Context, issuer string, err error) {
	word := "ok"
	if err != nil {
		word = "failed"
	}
	i.fetches.Add(ctx, 1, metric.WithAttributes(telemetry.KeyIssuer.String(issuer), telemetry.KeyResult.String(word)))
}

// introspected counts one question about a token.
func (i instruments) introspected(ctx context.Context, issuer, word string) {
	i.introspections.Add(ctx, 1, metric.WithAttributes(telemetry.KeyIssuer.String(issuer), telemetry.KeyResult.String(word)))
}
