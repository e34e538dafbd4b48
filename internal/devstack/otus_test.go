package devstack

import (
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestOtus(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	teamsWith := func(header ...string) answer { return v.do(http.MethodGet, stack.URLs().Otus+"/teams", nil, header...) }

	good := mint(t, stack, Mint{})
	got := teamsWith("Authorization", "Bearer "+good)
	var body struct{ Teams []team }
	decode(t, got.body, &body)
	if got.status != http.StatusOK || len(body.Teams) != 12 || body.Teams[0].Name == "" {
		t.Errorf("teams: %d %s", got.status, got.body)
	}
	for _, audience := range []string{testServer, testServer + "/", testServer + "/mcp", testServer + "/mcp/sse", stack.URLs().Otus} {
		if got := teamsWith("Authorization", "Bearer "+mint(t, stack, Mint{Audience: []string{audience}})); got.status != http.StatusOK {
			t.Errorf("aud %s: %d %s", audience, got.status, got.body)
		}
	}
	for name, header := range map[string][]string{
		"none":  nil,
		"basic": {"Authorization", "Basic " + good},
		"empty": {"Authorization", "Bearer "},
		"mcpx":  {"Authorization", "Bearer " + mint(t, stack, Mint{Resource: []string{testServer + "/mcpx"}})},
	} {
		got := teamsWith(header...)
		if got.status != http.StatusUnauthorized || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), `Bearer realm="otus"`) || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v", name, got.status, got.header)
		}
	}
	if got := teamsWith("Authorization", "Bearer "+mint(t, stack, Mint{User: "bruno"})); got.status != http.StatusForbidden || !strings.Contains(got.body, "teams:read") {
		t.Errorf("Bruno: %d %s", got.status, got.body)
	}
	requests := stack.OtusRequests()
	if first := requests[0]; first.Method != "GET" || first.Path != "/teams" || first.Header.Get("Authorization") != "Bearer "+good {
		t.Errorf("recorded %s %s", first.Method, first.Path)
	}
}

func TestOtusFaults(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	bearer := "Bearer " + mint(t, stack, Mint{})
	teams := func() answer { return v.do(http.MethodGet, stack.URLs().Otus+"/teams", nil, "Authorization", bearer) }
	set := func(form string) answer {
		values, err := url.ParseQuery(form)
		if err != nil {
			t.Fatal(err)
		}
		return v.do(http.MethodPost, stack.URLs().Faults, values)
	}
	if got := set("status=401&count=2"); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for i, want := range []int{401, 401, 200} {
		if got := teams(); got.status != want {
			t.Errorf("request %d: %d, want %d", i, got.status, want)
		}
	}
	set("body-bytes=100000&content-type=text/plain")
	if got := teams(); len(got.body) != 100000 || got.header.Get("Content-Type") != "text/plain" || got.status != 200 {
		t.Errorf("body: %d bytes, %v", len(got.body), got.header)
	}
	set("redirect=" + url.QueryEscape("https://evil.example/teams"))
	if got := teams(); got.status != http.StatusTemporaryRedirect || got.location != "https://evil.example/teams" {
		t.Errorf("redirect: %d %s", got.status, got.location)
	}
	set("delay=20ms")
	began := time.Now()
	if got := teams(); got.status != 200 || time.Since(began) < 20*time.Millisecond {
		t.Errorf("delay: %d after %s", got.status, time.Since(began))
	}
	set("close=true")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, stack.URLs().Otus+"/teams", nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := v.client.Do(request); err == nil {
		_ = response.Body.Close()
		t.Errorf("close: %d", response.StatusCode)
	}
	for _, clearing := range []func(){
		func() { set("count=0&status=500") },
		func() { v.do(http.MethodDelete, stack.URLs().Faults, nil) },
		func() { stack.SetOtusFault(OtusFault{}) },
	} {
		stack.SetOtusFault(OtusFault{Status: 500, Count: 9})
		clearing()
		if got := teams(); got.status != 200 {
			t.Errorf("not cleared: %d", got.status)
		}
	}
	for _, bad := range []string{"status=99", "status=x", "delay=2h", "delay=-1s", "close=perhaps", "body-bytes=999999999", "count=-1", "typo=1", "redirect=a%0d%0ab"} {
		set(bad).wantError(t, http.StatusBadRequest, "invalid_request")
	}
	if got := v.do(http.MethodPost, stack.URLs().Faults, url.Values{"status": {"500"}}, "Origin", "https://evil.example"); got.status != http.StatusForbidden {
		t.Errorf("a web page set a fault: %d", got.status)
	}
}

func TestStoppingEndsDelayedRequests(t *testing.T) {
	stack := start(t)
	stack.SetOtusFault(OtusFault{Delay: time.Minute})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, stack.URLs().Otus+"/teams", nil)
	if err != nil {
		t.Fatal(err)
	}
	v := newVisitor(t, stack)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if response, err := v.client.Do(request); err == nil {
			_ = response.Body.Close()
		}
	}()
	// start's cleanup stops the stack, and fails when draining exceeds its
	// deadline.
	for len(stack.OtusRequests()) == 0 {
		select {
		case <-done:
			t.Fatal("the request was not delayed")
		default:
			runtime.Gosched()
		}
	}
}
