package diagnose

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBearerChallenge(t *testing.T) {
	for _, test := range []struct {
		value string
		want  map[string]string // nil: refused
	}{
		{`Bearer`, map[string]string{}},
		{`bearer a=b`, map[string]string{"a": "b"}},
		{`Bearer resource_metadata="https://h/x", scope="a b"`, map[string]string{"resource_metadata": "https://h/x", "scope": "a b"}},
		{`Bearer A="x\"y,z" , b = c`, map[string]string{"a": `x"y,z`, "b": "c"}},
		{`Negotiate abc==, Bearer a=b`, map[string]string{"a": "b"}},
		{`Basic realm="x, Bearer y", Bearer a=b, DPoP algs="ES256"`, map[string]string{"a": "b"}},
		{`DPoP algs="ES256", error=x`, map[string]string{"algs": "ES256", "error": "x"}}, // bound tokens only
		{`DPoP algs="ES256", DPoP algs="PS256"`, nil},
		{``, nil},
		{`Basic realm="x"`, nil},
		{`Bearer a=b c=d`, nil},
		{`Bearer a="b`, nil},
		{`Bearer a=`, nil},
		{`Bearer a=b, a=c`, nil},
		{`Bearer abc==`, nil},
		{`Bearer a=b, Bearer c=d`, nil},
		{`Bearer a="b` + "\x01" + `"`, nil},
		{`Bearer: a=b`, nil},
		{`Bearer resource_metadata=https://h/x`, nil},
	} {
		got, err := tokenChallenge(http.Header{"Www-Authenticate": {test.value}})
		if (err != nil) != (test.want == nil) {
			t.Errorf("%s: %v", test.value, err)
			continue
		}
		if diff := cmp.Diff(test.want, got.params); test.want != nil && diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.value, diff)
		}
	}
}
