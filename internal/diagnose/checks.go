package diagnose

import (
	"context"
	"slices"
)

// check is one row of the table: what is looked at, which requirements that
// proves, and the section they come from.
type check struct {
	name         string
	requirements []int
	source       string
	token        bool // skipped without a good token
	run          func(context.Context, *probe) outcome
}

var reachable = check{name: "reachable", requirements: []int{15}, source: "MCP 2026-07-28 transport, Streamable HTTP"}

// checks is what [Verify] looks at, in order: metadata, credentials, the
// boundary, and what only a token holder sees.
func checks() []check {
	return slices.Concat(metadataChecks(), credentialChecks(), boundaryChecks(), tokenHolderChecks())
}

func metadataChecks() []check {
	return []check{
		{"metadata-path", []int{1}, "RFC 9728 section 3.1", false, checkMetadataPath},
		{"metadata-root", []int{1}, "MCP authorization, Protected Resource Metadata Discovery Requirements", false, checkMetadataRoot},
		{"metadata-resource", []int{2}, "RFC 9728 section 3.3", false, checkResource},
		{"metadata-resource-url", []int{2}, "RFC 9728 section 2; RFC 8707 section 2", false, checkResourceURL},
		{"metadata-json", []int{4}, "RFC 9728 section 3.2", false, checkMetadataJSON},
		{"authorization-servers", []int{3}, "RFC 9728 section 7.6; RFC 8414 section 3.3", false, checkAuthorizationServers},
		{"pkce-s256", []int{90}, "MCP authorization, Authorization Code Protection; RFC 8414 section 2", false, checkS256},
		{"metadata-head", []int{5}, "RFC 9110 section 9.3.2", false, checkMetadataHead},
		{"metadata-post", []int{5}, "RFC 9110 section 15.5.6", false, checkMetadataPost},
		{"metadata-scopes", []int{6}, "MCP authorization, Scope Selection Strategy", false, checkMetadataScopes},
		{"metadata-bearer-methods", []int{7}, "RFC 9728 section 2", false, checkBearerMethods},
		{"metadata-bound-tokens", []int{7, 51}, "RFC 9728 section 2; RFC 9449 section 7.1", false, checkBoundTokens},
		{"metadata-for-people", []int{8}, "RFC 9728 section 2", false, checkForPeople},
		{"metadata-cache", []int{9}, "RFC 9728 section 7.10", false, checkMetadataCache},
		{"metadata-cors", []int{9}, "WHATWG Fetch, CORS protocol", false, checkMetadataCORS},
		{"unknown-well-known", []int{10}, "RFC 8615 section 3", false, checkUnknownWellKnown},
		{"forwarded-headers", []int{11}, "RFC 9700 section 4.13", false, checkForwardedHeaders},
	}
}

func credentialChecks() []check {
	return []check{
		{"no-token", []int{15}, "RFC 6750 section 3.1", false, checkNoToken},
		{"no-redirect", []int{15}, "RFC 9110 section 15.4", false, checkNoRedirect},
		{"challenge-syntax", []int{18, 20}, "RFC 9110 section 11.6.1; RFC 6750 section 3", false, checkChallengeSyntax},
		{"challenge-metadata", []int{18}, "RFC 9728 section 5.1", false, checkChallengeMetadata},
		{"challenge-scope", []int{19}, "MCP authorization, Scope Selection Strategy; RFC 6750 section 3", false, checkChallengeScope},
		{"opaque-token", []int{16}, "RFC 6750 section 3.1", false, checkOpaqueToken},
		{"encrypted-token", []int{16, 35}, "RFC 6750 section 3.1; RFC 7516 section 9", false, checkEncryptedToken},
		{"unsigned-token", []int{16, 25}, "RFC 8725 section 3.2", false, checkUnsignedToken},
		{"forged-token", []int{16, 27}, "RFC 8725 section 3.3", false, checkForgedToken},
		{"hostile-claims", []int{20}, "RFC 6750 section 3", false, checkHostileClaims},
		{"malformed-header", []int{13, 17}, "RFC 6750 sections 2.1 and 3.1", false, checkMalformedHeader},
		{"two-headers", []int{13, 17}, "RFC 6750 section 3.1", false, checkTwoHeaders},
		{"token-in-query", []int{14}, "OAuth 2.1 section 5.1", false, checkTokenInQuery},
		{"token-in-form", []int{14}, "OAuth 2.1 section 5.1", false, checkTokenInForm},
		{"other-scheme", []int{13, 15}, "RFC 9110 section 11.6.1", false, checkOtherScheme},
		{"refusals-not-stored", []int{21}, "RFC 6750 section 5.3", false, checkRefusalsNotStored},
		{"every-method", []int{23}, "MCP authorization, Token Requirements", false, checkEveryMethod},
		{"no-session-bypass", []int{23}, "MCP security best practices, Session Hijacking", false, checkNoSessionBypass},
		{"sse-without-token", []int{23, 83}, "MCP authorization, Token Requirements", false, checkSSEWithoutToken},
		{"refusal-body", []int{24}, "RFC 6750 section 3.1", false, checkRefusalBody},
	}
}

func boundaryChecks() []check {
	return []check{
		{"unknown-host", []int{80}, "MCP transport, Security and Endpoint", false, checkUnknownHost},
		{"unknown-origin", []int{80}, "MCP transport, Security and Endpoint", false, checkUnknownOrigin},
		{"preflight", []int{85}, "WHATWG Fetch, CORS preflight", false, checkPreflight},
		{"challenge-readable", []int{85}, "WHATWG Fetch, CORS protocol", false, checkChallengeReadable},
		{"security-headers", []int{88}, "OWASP ASVS V3", false, checkSecurityHeaders},
		{"plain-http", []int{87}, "RFC 6750 section 5.3", false, checkPlainHTTP},
	}
}

func tokenHolderChecks() []check {
	return []check{
		{"token-accepted", []int{13, 82}, "MCP 2025-11-25 lifecycle, Initialization", true, checkTokenAccepted},
		{"scheme-case", []int{13}, "RFC 9110 section 11.1", true, checkSchemeCase},
		{"answers-not-stored", []int{21}, "RFC 6750 section 5.3", true, checkAnswersNotStored},
		{"tools-list", []int{60}, "MCP tools, Listing Tools", true, checkToolsList},
		{"get-with-token", []int{81}, "MCP transport, Streamable HTTP", true, checkGetWithToken},
		{"discover", []int{81}, "MCP 2026-07-28 server/discover", true, checkDiscover},
		{"unknown-version", []int{81}, "MCP 2026-07-28 versioning", true, checkUnknownVersion},
		{"header-mismatch", []int{58}, "MCP 2026-07-28 transport, Server Validation", true, checkHeaderMismatch},
		{"sse-stream", []int{83, 84}, "MCP 2024-11-05 transports, HTTP with SSE", true, checkSSEStream},
		{"sse-message-without-token", []int{23, 83}, "MCP authorization, Token Requirements", true, checkSSEMessageWithoutToken},
	}
}
