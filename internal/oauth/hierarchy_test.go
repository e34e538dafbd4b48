package oauth

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReq055_HigherScopesStandForLowerOnes(t *testing.T) {
	h, err := ParseHierarchy([]string{"admin>write>read", "admin>audit", "write>list"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ granted, need, missing string }{
		{"admin", "read write audit list admin", ""},
		{"write", "read list", ""},
		{"write", "read audit", "audit"},
		{"read", "write read", "write"}, // never upwards
		{"", "read", "read"},
		{"Admin", "read", "read"}, // case-sensitive
		{"other", "other", ""},
		{"admins", "read", "read"},
	} {
		got := h.Missing(ParseScopes(tc.granted), ParseScopes(tc.need))
		if diff := cmp.Diff(tc.missing, got.String()); diff != "" {
			t.Errorf("%q for %q: %s", tc.granted, tc.need, diff)
		}
	}
	granted := Scopes{"write"}
	if got := h.Expand(granted).String(); got != "write read list" {
		t.Errorf("Expand = %q", got)
	}
	if got := (Hierarchy{}).Missing(Scopes{"admin"}, Scopes{"read"}).String(); got != "read" {
		t.Errorf("the zero hierarchy: %q", got)
	}
}

func TestReq055_BrokenHierarchiesAreRefused(t *testing.T) {
	for chains, want := range map[string]string{
		"a>b>a":     `"a" stands above itself`,
		"a>a":       `"a" stands above itself`,
		"a>b,b>c>a": `"a" stands above itself`,
		"a":         `"a" relates no scopes`,
		"a>":        "a scope is empty",
		">a":        "a scope is empty",
		"a>é":       "which scopes may not have",
	} {
		_, err := ParseHierarchy(strings.Split(chains, ","))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", chains, err, want)
		}
	}
}
