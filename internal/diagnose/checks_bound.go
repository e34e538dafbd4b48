package diagnose

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// checkBoundTokens holds what the metadata says of DPoP against what the challenge
// offers: clients decide by either.
func checkBoundTokens(ctx context.Context, p *probe) outcome {
	object, result := p.anyDocument(ctx)
	if result.status != OK {
		return skip("there is no metadata")
	}
	r, err := p.unauthenticated(ctx, p.endpoint)
	if err != nil {
		return noAnswer(err)
	}
	offered := offersDPoP(r.header)
	raw, published := object["dpop_signing_alg_values_supported"]
	var algorithms []string
	if published && (json.Unmarshal(raw, &algorithms) != nil || slices.ContainsFunc(algorithms, unfitForProofs)) {
		return fail("dpop_signing_alg_values_supported is not a list of asymmetric algorithms: %s", printable(string(raw)))
	}
	required := string(object["dpop_bound_access_tokens_required"]) == "true"
	switch {
	case required && len(algorithms) == 0:
		return fail("dpop_bound_access_tokens_required without dpop_signing_alg_values_supported: no client knows how to sign")
	case published && !offered:
		return fail("the metadata lists DPoP algorithms, and the challenge offers no DPoP")
	case offered && !published:
		return fail("the challenge offers DPoP, and the metadata lists no dpop_signing_alg_values_supported")
	case required:
		return good("DPoP, nothing else")
	case offered:
		return good("DPoP beside bearer tokens")
	}
	return good("no DPoP, in metadata and challenge")
}

// unfitForProofs are "none" and shared secrets (RFC 9449 section 4.2).
func unfitForProofs(algorithm string) bool {
	return algorithm == "none" || strings.HasPrefix(algorithm, "HS") || algorithm == ""
}

// offersDPoP reports whether a challenge of the header has the scheme DPoP.
func offersDPoP(h http.Header) bool {
	for _, value := range h.Values("Www-Authenticate") {
		challenges, err := parseChallenges(value)
		if err == nil && slices.ContainsFunc(challenges, func(c challenge) bool { return strings.EqualFold(c.scheme, "DPoP") }) {
			return true
		}
	}
	return false
}
