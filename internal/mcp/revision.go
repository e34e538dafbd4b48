package mcp

import "slices"

// Revision is a published revision of the Model Context Protocol. Revisions
// compare as text: a later one is greater.
type Revision string

// The revisions this server speaks.
const (
	Rev20241105 Revision = "2024-11-05" // HTTP+SSE
	Rev20250326 Revision = "2025-03-26" // Streamable HTTP; JSON-RPC batches
	Rev20250618 Revision = "2025-06-18" // no batches; structured results
	Rev20251125 Revision = "2025-11-25" // argument errors are tool errors
	Rev20260728 Revision = "2026-07-28" // stateless: metadata on every request
)

// latestLegacy is what initialize answers to a version it does not know.
const latestLegacy = Rev20251125

// streamable lists what Streamable HTTP offers, newest first.
var streamable = []Revision{Rev20260728, Rev20251125, Rev20250618, Rev20250326}

// ProtocolVersions lists every revision the server speaks, newest first.
func ProtocolVersions() []string {
	return append(versions(streamable), string(Rev20241105))
}

func versions(revisions []Revision) []string {
	var names []string
	for _, revision := range revisions {
		names = append(names, string(revision))
	}
	return names
}

// known reports whether this server speaks r on any transport.
func (r Revision) known() bool {
	return r == Rev20241105 || slices.Contains(streamable, r)
}

// modern reports whether r carries its metadata on every request (2026-07-28
// and later) instead of an initialize handshake.
func (r Revision) modern() bool { return r >= Rev20260728 }

// negotiated answers the version that a legacy client asked for in initialize:
// the same if it is spoken, else the newest legacy one. It never fails.
func negotiated(requested string) Revision {
	if r := Revision(requested); r.known() && !r.modern() {
		return r
	}
	return latestLegacy
}
