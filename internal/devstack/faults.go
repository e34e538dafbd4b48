package devstack

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Bounds of a fault.
const (
	maxFaultDelay = time.Minute
	maxFaultBody  = 64 << 20 // bytes
	maxFaultCount = 1_000_000
)

// IdPFault makes the authorization server and the token signer misbehave. The
// zero value heals them.
type IdPFault struct { //nolint:revive,staticcheck // IdP is how the trade writes it
	Status     int           // answer with this status instead
	Delay      time.Duration // wait first, at most a minute
	Close      bool          // close the connection without an answer
	Everything bool          // not only metadata and key set, but every endpoint except the forge
}

type idpFaults struct {
	mu    sync.Mutex
	fault IdPFault
}

func (f *idpFaults) set(fault IdPFault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *idpFaults) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		fault := f.fault
		f.mu.Unlock()
		concerned := strings.Contains(r.URL.Path, "/.well-known/") || fault.Everything && r.URL.Path != forgePath
		if !concerned {
			next.ServeHTTP(w, r)
			return
		}
		wait(r, fault.Delay)
		switch {
		case fault.Close:
			panic(http.ErrAbortHandler)
		case fault.Status != 0:
			_ = writeJSON(w, fault.Status, map[string]string{"error": oauth.CodeTemporarilyUnavailable, "error_description": "A fault that was asked for"})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// wait sleeps for delay or until the request is over, which it also is when the
// stack stops.
func wait(r *http.Request, delay time.Duration) {
	if delay <= 0 {
		return
	}
	timer := time.NewTimer(min(delay, maxFaultDelay))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

// OtusFault makes the development Otus API misbehave. The zero value heals it.
// What is not set stays as it would be: a Delay alone gives the right answer,
// late.
type OtusFault struct {
	Status      int           // answer with this status; 0 with BodyBytes or ContentType means 200
	Delay       time.Duration // wait first, at most a minute
	Close       bool          // close the connection without an answer
	BodyBytes   int           // answer with a body of this size, at most 64 MiB
	ContentType string        // of that answer; "" means application/json
	Redirect    string        // answer 307 (or Status) to this URL
	Challenge   string        // the answer's WWW-Authenticate; "" means that of Status
	Count       int           // how many requests; 0 means 1
}

type otusFaults struct {
	mu    sync.Mutex
	fault OtusFault // Count is what is left; 0 means no fault
}

func (f *otusFaults) replace(fault OtusFault) {
	if fault != (OtusFault{}) && fault.Count == 0 {
		fault.Count = 1
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// take returns the fault for one request and counts it down.
func (f *otusFaults) take() OtusFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault.Count <= 0 {
		return OtusFault{}
	}
	fault := f.fault
	f.fault.Count--
	return fault
}

func (f *otusFaults) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault := f.take()
		wait(r, fault.Delay)
		switch {
		case fault.Close:
			panic(http.ErrAbortHandler)
		case fault.Redirect != "":
			w.Header().Set("Location", fault.Redirect)
			w.WriteHeader(orDefault(fault.Status, http.StatusTemporaryRedirect))
		case fault.Status != 0 || fault.BodyBytes != 0 || fault.ContentType != "":
			fault.answer(w)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// answer writes the faulty answer: the size that was asked for as one JSON
// string, or a small object.
func (f OtusFault) answer(w http.ResponseWriter) {
	contentType := f.ContentType
	if contentType == "" {
		contentType = "application/json"
	}
	w.Header().Set("Content-Type", contentType)
	status := orDefault(f.Status, http.StatusOK)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="otus", error="invalid_token"`)
	}
	if f.Challenge != "" {
		w.Header().Set("WWW-Authenticate", f.Challenge)
	}
	w.Header().Set("Set-Cookie", "otus=a-cookie-of-otus") // nobody may pass it on
	w.WriteHeader(status)
	if f.BodyBytes == 0 {
		_, _ = io.WriteString(w, `{"error":"fault","error_description":"A fault that was asked for"}`)
		return
	}
	chunk := bytes.Repeat([]byte("x"), 32<<10)
	left := min(f.BodyBytes, maxFaultBody)
	if left >= 2 {
		_, _ = io.WriteString(w, `"`)
		defer func() { _, _ = io.WriteString(w, `"`) }()
		left -= 2
	}
	for left > 0 {
		n, err := w.Write(chunk[:min(left, len(chunk))])
		if err != nil {
			return
		}
		left -= n
	}
}

func orDefault(status, fallback int) int {
	if status == 0 {
		return fallback
	}
	return status
}

// set answers POST /dev/faults.
func (f *otusFaults) set(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return tooLarge(err)
	}
	fault, err := parseFault(r.PostForm)
	if err != nil {
		return badRequest(oauth.CodeInvalidRequest, err.Error())
	}
	f.replace(fault)
	return f.show(w, r)
}

// clear answers DELETE /dev/faults.
func (f *otusFaults) clear(w http.ResponseWriter, r *http.Request) error {
	f.replace(OtusFault{})
	return f.show(w, r)
}

// show answers with the fault that is set; a count of 0 means none.
func (f *otusFaults) show(w http.ResponseWriter, _ *http.Request) error {
	f.mu.Lock()
	fault := f.fault
	f.mu.Unlock()
	return writeJSON(w, http.StatusOK, map[string]any{
		"status": fault.Status, "delay": fault.Delay.String(), "close": fault.Close, "body-bytes": fault.BodyBytes,
		"content-type": fault.ContentType, "redirect": fault.Redirect, "count": fault.Count,
	})
}

// parseFault reads the form of POST /dev/faults. count=0 clears whatever else
// the form says.
func parseFault(form url.Values) (OtusFault, error) {
	fault := OtusFault{ContentType: form.Get("content-type"), Redirect: form.Get("redirect"), Count: 1}
	for name := range form {
		if !slices.Contains([]string{"status", "delay", "close", "body-bytes", "count", "redirect", "content-type"}, name) {
			return OtusFault{}, fmt.Errorf("unknown parameter; there are status, delay, close, body-bytes, count, redirect, content-type")
		}
	}
	if strings.ContainsAny(fault.ContentType+fault.Redirect, "\r\n") || len(fault.ContentType+fault.Redirect) > maxURL {
		return OtusFault{}, fmt.Errorf("content-type or redirect cannot be a header value")
	}
	numbers := []struct {
		name     string
		into     *int
		min, max int
	}{
		{"status", &fault.Status, 200, 599},
		{"body-bytes", &fault.BodyBytes, 0, maxFaultBody},
		{"count", &fault.Count, 0, maxFaultCount},
	}
	for _, number := range numbers {
		text := form.Get(number.name)
		if text == "" {
			continue
		}
		value, err := strconv.Atoi(text)
		if err != nil || value < number.min || value > number.max {
			return OtusFault{}, fmt.Errorf("%s is a number from %d to %d", number.name, number.min, number.max)
		}
		*number.into = value
	}
	if fault.Count == 0 {
		return OtusFault{}, nil
	}
	var err error
	if fault.Delay, err = parseDuration(form.Get("delay")); err != nil || fault.Delay < 0 || fault.Delay > maxFaultDelay {
		return OtusFault{}, fmt.Errorf("delay is a number of seconds or a duration such as 1500ms, at most %s", maxFaultDelay)
	}
	if text := form.Get("close"); text != "" {
		if fault.Close, err = strconv.ParseBool(text); err != nil {
			return OtusFault{}, fmt.Errorf("close is true or false")
		}
	}
	return fault, nil
}
