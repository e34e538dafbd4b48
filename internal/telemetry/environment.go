package telemetry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// LookupEnv reads one environment variable.
type LookupEnv func(name string) (value string, set bool)

// environment is what the OTEL_* variables switch on. Everything else that they
// say (endpoints, headers, timeouts, samplers, resource attributes, intervals)
// OpenTelemetry's SDK reads itself.
type environment struct {
	disabled  bool     // OTEL_SDK_DISABLED
	traces    bool     // to an OTLP collector
	metrics   bool     // to an OTLP collector
	propagate bool     // traceparent to the APIs
	ignored   []string // words that mean nothing here, for a warning
}

// readEnvironment follows the specification's general SDK configuration, with
// one exception: nothing is exported unless an endpoint or an exporter is named,
// because a server whose operator has no collector must not look for one. All
// problems are reported together.
func readEnvironment(lookup LookupEnv) (environment, error) {
	if lookup == nil {
		return environment{propagate: true}, nil
	}
	value := func(name string) string {
		text, _ := lookup(name)
		return strings.ToLower(strings.TrimSpace(text))
	}
	var e environment
	if e.disabled = value("OTEL_SDK_DISABLED") == "true"; e.disabled {
		return e, nil
	}
	var problems []error
	signal := func(name string) bool {
		on, err := exported(value, name)
		problems = append(problems, err)
		return on
	}
	e.traces, e.metrics = signal("TRACES"), signal("METRICS")
	e.propagate, e.ignored = propagators(value("OTEL_PROPAGATORS"))
	return e, errors.Join(problems...)
}

// exported reports whether a signal goes to an OTLP collector.
func exported(value func(string) string, signal string) (bool, error) {
	exporter := "OTEL_" + signal + "_EXPORTER"
	switch word := value(exporter); word {
	case "none":
		return false, nil
	case "otlp":
	case "":
		if value("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && value("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") == "" {
			return false, nil
		}
	case "prometheus":
		return false, fmt.Errorf("%s: prometheus has a setting of its own here; use otlp or none, and set METRICS_ADDR", exporter)
	default:
		return false, fmt.Errorf("%s: %q is not an exporter of this server; use otlp or none", exporter, clip(word))
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_" + signal + "_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		switch protocol := value(name); protocol {
		case "":
			continue // ask the general one
		case "http/protobuf":
			return true, nil
		default:
			return false, fmt.Errorf("%s: %q is not spoken by this server; use http/protobuf and the collector's HTTP port", name, clip(protocol))
		}
	}
	return true, nil
}

// propagators reads OTEL_PROPAGATORS. W3C trace context is the only format that
// goes out. Baggage is accepted as a word, because it is part of the default
// that platforms set for everybody, and does nothing: what a client puts there is
// never passed on.
func propagators(list string) (propagate bool, ignored []string) {
	if list == "" {
		return true, nil
	}
	for word := range strings.SplitSeq(list, ",") {
		switch word = strings.TrimSpace(word); word {
		case "tracecontext":
			propagate = true
		case "none":
			return false, ignored
		case "", "baggage":
		default:
			if !slices.Contains(ignored, clip(word)) {
				ignored = append(ignored, clip(word))
			}
		}
	}
	return propagate, ignored
}

// maxEcho bounds what a message repeats of a variable, in bytes.
const maxEcho = 80

func clip(text string) string { return text[:min(len(text), maxEcho)] }
