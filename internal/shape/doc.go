// Package shape makes an API's answer small enough for a model: it selects from
// JSON with jq, limits items and bytes, cleans text, and finds the next page.
//
// Start with [Filter] for jq, [Items] and [Fit] for the limits, and [Text].
// Everything that is not cut stays byte for byte as the API sent it, and what
// was cut is still valid JSON. Only a jq filter writes JSON anew.
//
// It defends this server against filters that run for ever or produce without
// end, and clients against bytes that are no text. It does no I/O and does not
// know tools.
package shape
