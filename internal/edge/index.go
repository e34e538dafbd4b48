package edge

import (
	"bytes"
	"crypto/rand"
	"embed"
	"html/template"
	"net/http"

	"tecrolabs.dev/oauth-mcp-server/internal/negotiate"
)

// Index is what "/" tells about the server.
type Index struct {
	Name             string    `json:"name"`
	Version          string    `json:"version"`
	ProtocolVersions []string  `json:"protocol_versions"`
	Endpoints        Endpoints `json:"endpoints"`
	ToolsCount       int       `json:"tools_count"`
}

// Endpoints are absolute URLs.
type Endpoints struct {
	MCP                       string `json:"mcp"`
	SSE                       string `json:"sse"`
	ProtectedResourceMetadata string `json:"protected_resource_metadata"`
	AuthStart                 string `json:"auth_start"`
	AuthCallback              string `json:"auth_callback"`
	AuthRefresh               string `json:"auth_refresh"`
	Health                    string `json:"health"`
	Ready                     string `json:"ready"`
}

// IndexTool is a tool as the page for people lists it.
type IndexTool struct{ Name, Title, Description string }

//go:embed index.html
var indexPage embed.FS

// IndexHandler answers "/": JSON for programs, a page for requests that prefer
// text/html. describe and tools are asked each time, because tools may change.
func IndexHandler(describe func() Index, tools func() []IndexTool) (Handler, error) {
	page, err := template.ParseFS(indexPage, "index.html")
	if err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		header := w.Header()
		header.Set("Cache-Control", "no-cache")
		header.Add("Vary", "Accept")
		if !negotiate.PrefersHTML(r.Header) {
			return writeJSON(w, http.StatusOK, describe())
		}
		header.Add("Vary", "Accept-Language")
		language := negotiate.Language(r.Header)
		nonce := rand.Text()
		var b bytes.Buffer
		if err := page.Execute(&b, map[string]any{
			"Index": describe(), "Tools": tools(), "Lang": language, "Spanish": language == negotiate.Spanish, "Nonce": nonce,
		}); err != nil {
			return err
		}
		header.Set("Content-Security-Policy",
			"default-src 'none'; style-src 'nonce-"+nonce+"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		header.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(b.Bytes())
		return nil
	}, nil
}
