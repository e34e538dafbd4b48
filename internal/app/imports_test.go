package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
)

const importingCatalogue = "upstreams: {otus: {url: '${OTUS_URL}', credential: forward}}\nimports: [{from: documents/otus.yaml, upstream: otus}]\n"

// otusDocument describes GET /teams under that operationId.
func otusDocument(operation string) string {
	return `openapi: 3.1.0
info: {title: Otus, version: "1"}
paths:
  /teams:
    get: {operationId: ` + operation + `, summary: List the teams, responses: {}}
`
}

// TestReq072_Req079_ImportedDocumentsAreFollowed changes a document that a
// catalogue imports, with calls through the whole server.
func TestReq072_Req079_ImportedDocumentsAreFollowed(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	file, documents := filepath.Join(directory, "tools.yaml"), filepath.Join(directory, "documents")
	if err := os.Mkdir(documents, 0o700); err != nil {
		t.Fatal(err)
	}
	document := filepath.Join(documents, "otus.yaml")
	writeFile(t, file, importingCatalogue)
	writeFile(t, document, otusDocument("first"))
	system := apptest.Start(t, withTools(file))
	token := system.Token("ana")
	awaitTool(t, system, token, "first")
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"first","arguments":{}}}`
	if status, body := request(t, http.MethodPost, system.URL+"/mcp", token, call); status != http.StatusOK || !strings.Contains(body, "Albatros") {
		t.Fatalf("%d %s", status, body)
	}
	stream := openStream(t, system, system.URL)

	writeFile(t, document, otusDocument("second"))
	awaitTool(t, system, token, "second")
	changed := catalogueRecords(t, system)
	if len(changed) != 1 || len(changed[0].Changes) != 2 || changed[0].Hash == changed[0].Before {
		t.Errorf("records: %+v", changed)
	}
	writeFile(t, document, "openapi: 2.0")
	apptest.Eventually(t, "the broken document is refused", func() bool {
		return strings.Contains(system.Logs.String(), "imports[0] (documents/otus.yaml)")
	})
	awaitTool(t, system, token, "second")
	if err := os.Remove(document); err != nil {
		t.Fatal(err)
	}
	apptest.Eventually(t, "the missing document is told", func() bool { return strings.Contains(system.Logs.String(), "no such file") })
	writeFile(t, document+".new", otusDocument("third"))
	rename(t, document+".new", document)
	awaitTool(t, system, token, "third")

	elsewhere := filepath.Join(t.TempDir(), "otus.yaml")
	writeFile(t, elsewhere, otusDocument("fourth"))
	writeFile(t, file, strings.Replace(importingCatalogue, "documents/otus.yaml", elsewhere, 1))
	awaitTool(t, system, token, "fourth")
	writeFile(t, elsewhere, otusDocument("fifth"))
	awaitTool(t, system, token, "fifth")

	if err := system.StopServer(); err != nil {
		t.Error(err)
	}
	notices := 0
	for stream.lines.Scan() {
		if strings.Contains(stream.lines.Text(), "list_changed") {
			notices++
		}
	}
	if notices != 4 {
		t.Errorf("%d notices, want one for each change of the list", notices)
	}
}

// What is written of a document must be of one version of it, so it is got once.
func TestToolsImportGetsADocumentOnce(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = io.WriteString(w, otusDocument("teams")+"servers: [{url: /otus}]\n")
	}))
	defer site.Close()
	var written strings.Builder
	_, err := app.ImportTools(t.Context(), &written, app.ImportOptions{
		Config: config.Default(), Document: site.URL + "/openapi.yaml", Directory: t.TempDir(), Upstream: "otus", Credential: "none", Offer: "tools",
	})
	if err != nil || !strings.Contains(written.String(), "url: "+site.URL+"/otus\n") {
		t.Errorf("%v\n%s", err, written.String())
	}
	if requests.Load() != 1 {
		t.Errorf("%d requests, want 1", requests.Load())
	}
}
