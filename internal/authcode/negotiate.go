package authcode

import (
	"net/http"
	"strconv"
	"strings"
)

// maxPreferences bounds how many items of an Accept header are looked at.
const maxPreferences = 32

// preferences gives the weight of each item of a header such as Accept or
// Accept-Language (RFC 9110 section 12.4.2), in lower case. An item that comes
// twice keeps its first weight.
func preferences(values []string) map[string]float64 {
	weights := map[string]float64{}
	for item := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if len(weights) == maxPreferences {
			break
		}
		name, parameters, _ := strings.Cut(item, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, seen := weights[name]; name == "" || seen {
			continue
		}
		weights[name] = weightOf(parameters)
	}
	return weights
}

// weightOf reads the q parameter; without a usable one the weight is 1.
func weightOf(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(parameter, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		if q, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && q >= 0 && q <= 1 {
			return q
		}
	}
	return 1
}

// mediaWeights returns how much the request wants HTML and JSON.
func mediaWeights(r *http.Request) (html, json float64) {
	weights := preferences(r.Header.Values("Accept"))
	weight := func(names ...string) float64 {
		for _, name := range names {
			if q, named := weights[name]; named {
				return q
			}
		}
		return 0
	}
	return weight("text/html", "text/*", "*/*"), weight("application/json", "application/*", "*/*")
}

// prefersHTML reports whether the request comes from something that shows
// pages: it wants text/html more than JSON.
func prefersHTML(r *http.Request) bool {
	html, json := mediaWeights(r)
	return html > json
}

// prefersJSON reports whether the request comes from a program.
func prefersJSON(r *http.Request) bool {
	html, json := mediaWeights(r)
	return json > html
}

// Languages of the pages.
const (
	english = "en"
	spanish = "es"
)

// languageOf picks the page's language by Accept-Language: Spanish when it is
// wanted more than English, else English.
func languageOf(r *http.Request) string {
	best := map[string]float64{}
	for tag, q := range preferences(r.Header.Values("Accept-Language")) {
		primary, _, _ := strings.Cut(tag, "-")
		best[primary] = max(best[primary], q)
	}
	if best[spanish] > best[english] {
		return spanish
	}
	return english
}
