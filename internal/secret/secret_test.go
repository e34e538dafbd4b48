package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const canary = "canary-4f1c9a7e2b"

func TestReq098_NoVerbPrintsASecret(t *testing.T) {
	type exported struct{ V Value }
	type hidden struct{ v Value }
	type nested struct{ h *hidden }
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%T"} {
		for name, subject := range map[string]any{
			"value":    New(canary),
			"pointer":  new(Value),
			"exported": exported{New(canary)},
			"hidden":   hidden{New(canary)},
			"slice":    []Value{New(canary)},
			"map":      map[string]Value{"k": New(canary)},
			"nested":   nested{&hidden{New(canary)}},
			"error":    fmt.Errorf("refused %v %+v: %w", New(canary), hidden{New(canary)}, errors.New("x")),
			"joined":   errors.Join(fmt.Errorf("%q", New(canary)), fmt.Errorf("%#v", exported{New(canary)})),
		} {
			out := fmt.Sprintf(verb, subject)
			if strings.Contains(out, canary) || strings.Contains(out, fmt.Sprintf("%x", canary)) {
				t.Errorf("fmt %s of %s prints the secret: %s", verb, name, out)
			}
		}
	}
}

func TestReq098_EncodersDoNotPrintASecret(t *testing.T) {
	asJSON, err := json.Marshal(map[string]any{"v": New(canary), "p": &struct{ S Value }{New(canary)}})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", slog.Any("v", New(canary)), slog.Any("s", struct{ V Value }{New(canary)}))
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", slog.Any("v", New(canary)), slog.Any("s", struct{ v Value }{New(canary)}))
	for what, out := range map[string]string{"json": string(asJSON), "slog": log.String()} {
		if strings.Contains(out, canary) {
			t.Errorf("%s prints the secret: %s", what, out)
		}
		if !strings.Contains(out, "[redacted sha256:") {
			t.Errorf("%s shows no fingerprint: %s", what, out)
		}
	}
}

func TestValueKeepsItsText(t *testing.T) {
	v := New(canary)
	if v.Reveal() != canary || !v.IsSet() {
		t.Fatal("New lost the text")
	}
	if !v.Equal(New(canary)) || v.Equal(New("other")) || v.Equal(Value{}) {
		t.Fatal("Equal is wrong")
	}
	if (Value{}).IsSet() || New("").IsSet() || (Value{}).Reveal() != "" {
		t.Fatal("the zero value is a secret")
	}
	var read Value
	if err := read.UnmarshalText([]byte(canary)); err != nil || read.Reveal() != canary {
		t.Fatalf("UnmarshalText: %v", err)
	}
}
