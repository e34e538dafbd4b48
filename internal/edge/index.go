package edge

import (
	"bytes"
	"crypto/rand"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"strings"
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
		if !prefersHTML(r.Header.Get("Accept")) {
			return writeJSON(w, http.StatusOK, describe())
		}
		header.Add("Vary", "Accept-Language")
		language := preferredLanguage(r.Header.Get("Accept-Language"))
		nonce := rand.Text()
		var b bytes.Buffer
		if err := page.Execute(&b, map[string]any{
			"Index": describe(), "Tools": tools(), "Lang": language, "Spanish": language == "es", "Nonce": nonce,
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

// prefersHTML reports whether an Accept header ranks text/html above
// application/json. Wildcards do not count: curl gets JSON.
func prefersHTML(accept string) bool {
	return quality(accept, "text/html") > quality(accept, "application/json")
}

// preferredLanguage is "es" or "en".
func preferredLanguage(accept string) string {
	best, language := 0.0, "en"
	for part := range strings.SplitSeq(accept, ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if q := quality(part, tag); (primary == "es" || primary == "en") && q > best {
			best, language = q, primary
		}
	}
	return language
}

// quality is the weight that an Accept-like header gives to exactly want
// (RFC 9110 section 12.4.2); 0 when it is not listed.
func quality(accept, want string) float64 {
	for part := range strings.SplitSeq(accept, ",") {
		value, parameters, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(value), want) {
			continue
		}
		for parameter := range strings.SplitSeq(parameters, ";") {
			if weight, ok := strings.CutPrefix(strings.TrimSpace(parameter), "q="); ok {
				if q, err := strconv.ParseFloat(weight, 64); err == nil && q >= 0 && q <= 1 {
					return q
				}
				return 0
			}
		}
		return 1
	}
	return 0
}
