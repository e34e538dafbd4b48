package bearer

import (
	"encoding/json"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// thumbprintBytes is the size of a SHA-256 in a confirmation.
const thumbprintBytes = 32

// confirmationClaim reads "cnf" (RFC 7800 section 3.1). Whatever it holds, the
// token is bound: what cannot be read here, or names a method besides "jkt" (RFC
// 9449 section 6.1) and "x5t#S256" (RFC 8705 section 3.1), is bound to something
// that nobody can prove. It never fails.
func confirmationClaim(raw json.RawMessage) (oauth.Confirmation, error) {
	if c, ok := readConfirmation(raw); ok {
		return c, nil
	}
	return oauth.Confirmation{Other: true}, nil
}

func readConfirmation(raw json.RawMessage) (c oauth.Confirmation, ok bool) {
	members, err := strictjson.ParseObject(raw)
	if err != nil || len(members) == 0 {
		return c, false
	}
	for _, member := range members {
		value, err := textClaim(member.Value)
		if err != nil || !isThumbprint(value) {
			return c, false
		}
		switch member.Key {
		case "jkt":
			c.KeyThumbprint = value
		case "x5t#S256":
			c.CertificateThumbprint = value
		default:
			return c, false
		}
	}
	return c, true
}

// isThumbprint reports whether text is a SHA-256 in base64url, in its one
// spelling.
func isThumbprint(text string) bool {
	sum, err := decodeSegment(text)
	return err == nil && len(sum) == thumbprintBytes
}
