// Package conformance lets the official MCP conformance suite judge the server:
// two pinned releases of it, started as Node.js processes, against the whole
// system of internal/apptest with a real token, through the same edge and the
// same token verification as in production.
//
// [Fixtures] is the test build's own side: the tools, resources, prompts and
// completions that the scenarios call by name. runner_test.go starts the suite
// and judges what it reports, more strictly than the suite does. preload.mjs
// gives the suite the bearer token, for which it has no option.
// expected-failures.yaml names what may fail, and why.
//
// The suite does not see the authorization side (challenges, audiences,
// metadata) or HTTP+SSE; the other tests of this folder's parent do.
package conformance
