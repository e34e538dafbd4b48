package edge

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

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
// with them. A reason is a sentence that is safe for anybody to read.
func ReadyHandler(unready func() []string) Handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		reasons := unready()
		if len(reasons) == 0 {
			return writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
		}
		return writeJSON(w, http.StatusServiceUnavailable, map[string]any{"status": "unready", "reasons": reasons})
	}
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
