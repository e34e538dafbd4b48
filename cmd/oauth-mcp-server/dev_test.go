package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
