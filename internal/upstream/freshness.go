package upstream

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
)

// terms lists the header fields by which an API says for how long an answer holds.
var terms = []string{"Cache-Control", "Expires"}

// freshness returns for how long an answer that came with header on the API's
// terms may be used without asking, and whether it may be kept at all. What the
// API says is for how long at most; where it does not say, an answer is used for
// ttl, and with ttl 0 the API is asked every time.
func freshness(said, header http.Header, ttl time.Duration, now time.Time) (lifetime time.Duration, store bool) {
	lifetime, explicit, store := directives(said)
	if expires := said["Expires"]; !explicit && len(expires) > 0 {
		lifetime, explicit = untilExpiry(expires[0], header.Get("Date"), now), true
	}
	if !explicit {
		lifetime = ttl
	}
	lifetime -= age(header, now)
	if ttl > 0 {
		lifetime = min(lifetime, ttl)
	}
	return min(max(lifetime, 0), outbound.MaxFresh), store
}

// age returns how old an answer is that has just come (RFC 9111 section 4.2.3): what
// the caches on its way say, or what its date says, whichever is more.
func age(header http.Header, now time.Time) time.Duration {
	var old time.Duration
	if told, err := strconv.Atoi(header.Get("Age")); err == nil {
		old = seconds(max(told, 0))
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		old = max(old, now.Sub(date).Truncate(time.Second)) // a date has no more than seconds
	}
	return old
}

// variesWithAll reports whether an answer holds for no other request (RFC 9111
// section 4.1).
func variesWithAll(header http.Header) bool {
	for _, value := range header.Values("Vary") {
		for name := range strings.SplitSeq(value, ",") {
			if strings.TrimSpace(name) == "*" {
				return true
			}
		}
	}
	return false
}

// directives reads Cache-Control (RFC 9111 section 5.2.2). Explicit says that it
// states a lifetime: the shortest, where there are several, and 0 where it cannot
// be read (section 4.2.1).
func directives(said http.Header) (lifetime time.Duration, explicit, store bool) {
	lifetime, store = math.MaxInt64, true
	for _, value := range said.Values("Cache-Control") {
		for directive := range strings.SplitSeq(value, ",") {
			name, argument, _ := strings.Cut(strings.TrimSpace(directive), "=")
			switch strings.ToLower(name) {
			case "no-store":
				store = false
			case "no-cache":
				lifetime, explicit = 0, true
			case "max-age":
				age, err := strconv.Atoi(strings.Trim(argument, `"`))
				if err != nil {
					age = 0
				}
				lifetime, explicit = min(lifetime, seconds(max(age, 0))), true
			default: // the others are for shared caches, or allow more than is done
			}
		}
	}
	return lifetime, explicit, store
}

// untilExpiry reads Expires (RFC 9111 section 5.3) by the API's own clock, as far
// as it tells the time. What is no date, such as 0, is in the past.
func untilExpiry(expires, date string, now time.Time) time.Duration {
	end, err := http.ParseTime(expires)
	if err != nil {
		return 0
	}
	if told, err := http.ParseTime(date); err == nil {
		now = told
	}
	return end.Sub(now)
}

// seconds is a number of seconds, or very many.
func seconds(n int) time.Duration { return time.Duration(min(n, 1<<30)) * time.Second }
