package bearer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// meter is a real meter that a test can read.
type meter struct {
	metric.Meter
	reader *sdk.ManualReader
}

func newMeter(tb testing.TB) *meter {
	tb.Helper()
	reader := sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))
	tb.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(tb.Context())) })
	return &meter{provider.Meter("test"), reader}
}

// points returns what an instrument holds now, by the value of one label.
func (m *meter) points(tb testing.TB, instrument, label string) map[string]float64 {
	tb.Helper()
	var all metricdata.ResourceMetrics
	if err := m.reader.Collect(tb.Context(), &all); err != nil {
		tb.Fatal(err)
	}
	found := map[string]float64{}
	add := func(set attribute.Set, value float64) {
		word, _ := set.Value(attribute.Key(label))
		found[word.AsString()] += value
	}
	for _, scope := range all.ScopeMetrics {
		for _, one := range scope.Metrics {
			if one.Name != instrument {
				continue
			}
			switch data := one.Data.(type) {
			case metricdata.Sum[int64]:
				for _, point := range data.DataPoints {
					add(point.Attributes, float64(point.Value))
				}
			case metricdata.Gauge[float64]:
				for _, point := range data.DataPoints {
					add(point.Attributes, point.Value)
				}
			}
		}
	}
	return found
}

func (m *meter) count(tb testing.TB, instrument, label, word string) int64 {
	tb.Helper()
	return int64(m.points(tb, instrument, label)[word])
}

func TestReq044_KeyAgeIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		m := newMeter(t)
		v := provider.verifier(t, func(c *Config) { c.Now, c.Meter = nil, m })
		if ages := m.points(t, "oauth_mcp_server.key.age", "issuer"); len(ages) != 0 || v.Keys()[0].Loaded {
			t.Errorf("ages before anything was loaded: %v", ages)
		}
		run(t, v)
		synctest.Wait()
		provider.setDown(true)
		time.Sleep(7 * time.Hour)
		if age := m.points(t, "oauth_mcp_server.key.age", "issuer")[provider.issuer]; age != (7 * time.Hour).Seconds() {
			t.Errorf("age %v s, want 7 hours", age)
		}
		if status := v.Keys()[0]; !status.Loaded || status.Age != 7*time.Hour || status.Issuer != provider.issuer {
			t.Errorf("%+v", status)
		}
		if m.count(t, "oauth_mcp_server.key.fetches", "result", "ok") != 1 || m.count(t, "oauth_mcp_server.key.fetches", "result", "failed") < 100 {
			t.Errorf("fetches %v", m.points(t, "oauth_mcp_server.key.fetches", "result"))
		}
	})
}

// Every verdict is counted by its reason, and no reason is outside the list.
func TestVerdictsAreCounted(t *testing.T) {
	provider := startIDP(t, rsaKey())
	m := newMeter(t)
	v := provider.verifier(t, func(c *Config) { c.Meter = m })
	want := map[string]float64{}
	for _, rows := range [][]spoiled{shapeRows, algorithmRows, signatureRows, headerRows, claimRows} {
		for _, row := range rows {
			f := newForge(provider.issuer, rsaKey(), noon)
			row.spoil(f)
			_, _ = v.Verify(t.Context(), f.token())
			if row.want == "" {
				row.want = accepted
			}
			want[string(row.want)]++
		}
	}
	got := m.points(t, "oauth_mcp_server.token.verifications", "reason")
	for reason, count := range want {
		if got[reason] != count {
			t.Errorf("%s was counted %v times, want %v", reason, got[reason], count)
		}
	}
	if len(got) != len(want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}
