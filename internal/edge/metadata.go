package edge

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// metadataLifetime is how long clients may keep a metadata document.
const metadataLifetime = 5 * time.Minute

// MetadataHandler returns, for each protected path ("" for the whole server),
// the handler of its RFC 9728 document. document gives the members that all of
// them share at this moment; resource is set here, so that it is byte for byte
// the URL the path stands for.
func MetadataHandler(serverURL string, document func() oauth.ProtectedResourceMetadata) func(path string) Handler {
	return func(path string) Handler {
		return func(w http.ResponseWriter, _ *http.Request) error {
			metadata := document()
			metadata.Resource = serverURL + path
			w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(metadataLifetime.Seconds())))
			return writeJSON(w, http.StatusOK, metadata)
		}
	}
}

// HealthHandler answers liveness: the process serves. It asks nobody.
func HealthHandler() Handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		return writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	}
}

// ReadyHandler answers readiness: 200 when unready gives no reasons, else 503
// with them. A reason is a sentence that is safe for anybody to read. Either
// answer says how old the signing keys are, so that an outage of an identity
// provider shows long before it hurts.
func ReadyHandler(unready func() []string, keys func() []bearer.KeyStatus) Handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		reasons := unready()
		readiness := readiness{Status: "ready", Reasons: reasons, Keys: []keyAge{}}
		for _, status := range keys() {
			entry := keyAge{Issuer: status.Issuer}
			if status.Loaded {
				seconds := int64(status.Age.Seconds())
				entry.Seconds = &seconds
			}
			readiness.Keys = append(readiness.Keys, entry)
		}
		if len(reasons) == 0 {
			return writeJSON(w, http.StatusOK, readiness)
		}
		readiness.Status = "unready"
		return writeJSON(w, http.StatusServiceUnavailable, readiness)
	}
}

// readiness is the body of /readyz.
type readiness struct {
	Status  string   `json:"status"`
	Reasons []string `json:"reasons,omitempty"`
	Keys    []keyAge `json:"keys"`
}

// keyAge is how old an issuer's signing keys are, null when there are none.
type keyAge struct {
	Issuer  string `json:"issuer"`
	Seconds *int64 `json:"age_seconds"`
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
	return nil
}
