package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// scope is the instrumentation scope of all metrics and spans.
const scope = "tecrolabs.dev/oauth-mcp-server"

// ProviderConfig is what a [Provider] is made of. The zero ProviderConfig
// measures nothing.
type ProviderConfig struct {
	Service string // name of the service, unless OTEL_SERVICE_NAME says another
	Version string
	// LookupEnv reads the OTEL_* variables that switch exporters on; nil means
	// that none does. It must read the process environment, as the SDK does.
	LookupEnv LookupEnv
	// Scrape makes [Provider.Handler] serve the metrics to Prometheus.
	Scrape bool
	// Readers and Processors get all metrics and spans too.
	Readers    []sdkmetric.Reader
	Processors []sdktrace.SpanProcessor
	Logger     *slog.Logger // nil means none
}

// Provider hands out the meter and the tracer. What is switched off is nil, for
// which every package has no code on the way of a request; the zero Provider and
// a nil one have everything off.
type Provider struct {
	meters    *sdkmetric.MeterProvider
	tracers   *sdktrace.TracerProvider
	handler   http.Handler
	propagate bool
}

// NewProvider sets up what cfg and the environment ask for. It opens no
// connection; exporters do, in the background, until [Provider.Shutdown]. Every
// problem is reported, with the variable's name.
func NewProvider(ctx context.Context, cfg ProviderConfig) (*Provider, error) {
	env, err := readEnvironment(cfg.LookupEnv)
	if err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if env.disabled {
		return &Provider{}, nil
	}
	for _, word := range env.ignored {
		cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "this propagator is not known here and is ignored",
			slog.String("setting", "OTEL_PROPAGATORS"), slog.String("word", word))
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", cfg.Service), attribute.String("service.version", cfg.Version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	p := &Provider{propagate: env.propagate}
	if err := p.startMetrics(ctx, cfg, env, about); err != nil {
		return nil, err
	}
	if err := p.startTraces(ctx, cfg, env, about); err != nil {
		return nil, errors.Join(err, p.Shutdown(ctx))
	}
	return p, nil
}

func (p *Provider) startMetrics(ctx context.Context, cfg ProviderConfig, env environment, about *resource.Resource) error {
	readers := cfg.Readers
	if cfg.Scrape {
		registry := prometheus.NewRegistry()
		exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo())
		if err == nil {
			err = errors.Join(registry.Register(collectors.NewGoCollector()),
				registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})))
		}
		if err != nil {
			return fmt.Errorf("prometheus: %w", err)
		}
		readers = append(readers, exporter)
		p.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	}
	if env.metrics {
		exporter, err := otlpmetrichttp.New(ctx)
		if err != nil {
			return fmt.Errorf("OTEL_EXPORTER_OTLP_*: metrics: %w", err)
		}
		readers = append(readers, sdkmetric.NewPeriodicReader(exporter))
	}
	if len(readers) == 0 {
		return nil
	}
	options := []sdkmetric.Option{sdkmetric.WithResource(about)}
	for _, reader := range readers {
		options = append(options, sdkmetric.WithReader(reader))
	}
	p.meters = sdkmetric.NewMeterProvider(options...)
	return nil
}

func (p *Provider) startTraces(ctx context.Context, cfg ProviderConfig, env environment, about *resource.Resource) error {
	processors := cfg.Processors
	if env.traces {
		exporter, err := otlptracehttp.New(ctx)
		if err != nil {
			return fmt.Errorf("OTEL_EXPORTER_OTLP_*: traces: %w", err)
		}
		processors = append(processors, sdktrace.NewBatchSpanProcessor(exporter))
	}
	if len(processors) == 0 {
		return nil
	}
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(about)}
	for _, processor := range processors {
		options = append(options, sdktrace.WithSpanProcessor(processor))
	}
	p.tracers = sdktrace.NewTracerProvider(options...)
	return nil
}

// Meter returns the meter, nil when metrics are off.
func (p *Provider) Meter() metric.Meter {
	if p == nil || p.meters == nil {
		return nil
	}
	return p.meters.Meter(scope)
}

// Tracer returns the tracer, nil when traces are off.
func (p *Provider) Tracer() trace.Tracer {
	if p == nil || p.tracers == nil {
		return nil
	}
	return p.tracers.Tracer(scope)
}

// Propagator puts the trace context into a request to an API: traceparent, and
// no baggage. It is nil when traces are off, or OTEL_PROPAGATORS leaves it out.
func (p *Provider) Propagator() propagation.TextMapPropagator {
	if p == nil || p.tracers == nil || !p.propagate {
		return nil
	}
	return propagation.TraceContext{}
}

// Handler serves the metrics to Prometheus; nil when it is off.
func (p *Provider) Handler() http.Handler {
	if p == nil {
		return nil
	}
	return p.handler
}

// Shutdown exports what was measured and not exported yet, within ctx, and ends
// the exporters.
func (p *Provider) Shutdown(ctx context.Context) error {
	var problems []error
	if p != nil && p.tracers != nil {
		problems = append(problems, p.tracers.Shutdown(ctx))
	}
	if p != nil && p.meters != nil {
		problems = append(problems, p.meters.Shutdown(ctx))
	}
	return errors.Join(problems...)
}

// ReportTo makes the exporters of this process tell their failures to logger.
// OpenTelemetry has one place for that, so only a command that serves calls it.
func ReportTo(ctx context.Context, logger *slog.Logger) {
	ctx = context.WithoutCancel(ctx) // the last export comes after the end of ctx
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		logger.LogAttrs(ctx, slog.LevelWarn, "telemetry not exported", slog.String("error", err.Error()))
	}))
}
