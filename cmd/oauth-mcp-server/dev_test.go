package main

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
)

func TestDevNamesTheFlagWhenAPortIsTaken(t *testing.T) {
	taken := httptest.NewServer(http.NotFoundHandler())
	defer taken.Close()
	_, port, _ := strings.Cut(taken.Listener.Addr().String(), ":")
	got := invoke(t, nil, "dev", "--port="+port)
	if got.code != exitFailed || got.stdout != "" || !strings.Contains(got.stderr, "--port") {
		t.Errorf("%+v", got)
	}
}

func TestDevRefusesFlagsThatDoNotGoTogether(t *testing.T) {
	for _, args := range [][]string{
		{"--exchange", "--stack-only"},
		{"--tools-file=tools.yaml", "--exchange"},
		{"--tools-file=tools.yaml", "--stack-only"},
	} {
		got := invoke(t, nil, append([]string{"dev"}, args...)...)
		if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, "out; see oauth-mcp-server --help") {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

// A catalogue is read from where the command runs.
func TestDevNamesTheCatalogueThatIsNotThere(t *testing.T) {
	got := invoke(t, nil, "dev", "--port="+strconv.Itoa(apptest.FreePorts(t)), "--tools-file=missing.yaml")
	if got.code != exitFailed || got.stdout != "" || !strings.Contains(got.stderr, "missing.yaml") {
		t.Errorf("%+v", got)
	}
}
