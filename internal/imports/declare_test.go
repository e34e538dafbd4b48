package imports

import (
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/openapi"
)

// What is written in UTF-8 says so, where the media type alone would not.
func TestTextIsSentAsUTF8(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kind       openapi.BodyKind
		media, out string
	}{
		{openapi.BodyText, "text/plain", "text/plain; charset=utf-8"},
		{openapi.BodyText, "text/plain; charset=us-ascii", "text/plain; charset=us-ascii"},
		{openapi.BodyText, "application/xml", "application/xml"},
		{openapi.BodyJSON, "text/json", "text/json"},
	} {
		d := declaration(openapi.Operation{Method: "POST", Path: "/"}, &openapi.Details{Body: &openapi.Body{Kind: tc.kind, ContentType: tc.media}})
		if d.Body.ContentType != tc.out {
			t.Errorf("%s is sent as %q", tc.media, d.Body.ContentType)
		}
	}
}
