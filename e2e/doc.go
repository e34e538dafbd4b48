// Package e2e walks through the whole system from outside, with clients that
// nobody here wrote: the SDKs in Go and TypeScript, the Inspector's command
// line and pages in Chromium; and with plain HTTP where the exact bytes matter.
//
// The clients in JavaScript are pinned in package.json; "npm ci" in this folder
// brings them and the Node.js they run on. Claude Code and Codex are whole
// applications: with "npm ci" in heavy/, "go test -tags heavy" drives them too.
// Documents for the import of OpenAPI are in openapi/, a package of its own.
//
// Every system under test comes from internal/apptest, which also holds its
// logs against every token it issued.
package e2e
