package openapi

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// maxArrived bounds the body of a request to a stub, in bytes.
const maxArrived = 1 << 20

// api is a stub of the API that a document describes. kin-openapi alone reads
// the document: it says which operation a request is one of, and what of the
// path each parameter is.
type api struct {
	document *openapi3.T
	router   routers.Router
	url      string
	token    string        // of the only caller
	answer   []byte        // JSON; set before a call
	arrived  chan *arrival // requests that nobody has looked at yet
}

// arrival is a request that reached the stub. The route is nil when the document
// has no such operation.
type arrival struct {
	openapi3filter.RequestValidationInput

	body []byte
}

// stand starts the API that a document describes, until the test ends.
func stand(t *testing.T, text []byte) *api {
	t.Helper()
	document := judged(t, text)
	spellOut(document)
	document.Servers = nil // this one is where the upstream's URL says
	router, err := legacy.NewRouter(document, openapi3.DisableExamplesValidation())
	if err != nil {
		t.Fatal(err)
	}
	a := &api{document: document, router: router, arrived: make(chan *arrival, 8)}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// ServeHTTP keeps the request for the judge and answers with something that every
// tool passes on.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxArrived))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	kept := r.Clone(context.WithoutCancel(r.Context())) // the server goes on using its own
	kept.Body = io.NopCloser(bytes.NewReader(body))
	got := &arrival{body: body, RequestValidationInput: openapi3filter.RequestValidationInput{Request: kept}}
	got.Route, got.PathParams, err = a.router.FindRoute(kept)
	select {
	case a.arrived <- got:
	default:
		err = http.ErrNotSupported // nobody looks, so nobody may take it for an answer
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer "+a.token:
		http.Error(w, "this is somebody else's token", http.StatusUnauthorized)
		return
	case err != nil:
		http.Error(w, "the document has no such operation", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(a.answer)
}

// next returns the one request that arrived since it was last called.
func (a *api) next(t *testing.T) *arrival {
	t.Helper()
	if len(a.arrived) != 1 {
		t.Fatalf("%d requests arrived, want one", len(a.arrived))
	}
	return <-a.arrived
}

// forget drops what arrived.
func (a *api) forget() {
	for len(a.arrived) > 0 {
		<-a.arrived
	}
}
