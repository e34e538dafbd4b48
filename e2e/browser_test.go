package e2e

import (
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
)

// browser follows redirects and keeps cookies.
type browser struct{ client *http.Client }

func newBrowser(t *testing.T, system *apptest.System) browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return browser{&http.Client{Jar: jar, Transport: system.Client().Transport}}
}

// get ends where no redirect leads on. It asks for JSON, as scripts do.
func (b browser) get(t *testing.T, url string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json")
	got, err := b.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := readAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{got.StatusCode, got.Header, body}
}

// writeBrowser writes a command that follows a URL into a folder.
func writeBrowser(t *testing.T, folder, name string) string {
	t.Helper()
	follow, err := filepath.Abs("clients/browser.mjs")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec '"+nodeBinary(t)+"' '"+follow+"' \"$1\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// freePort returns a port that nobody listened on a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(listener.Addr().String(), ":")
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return port
}
