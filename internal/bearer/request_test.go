package bearer

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// requestRow is one way to present a token, and what becomes of it.
type requestRow struct {
	name   string
	values []string // Authorization headers
	query  string
	form   string
	want   Reason // empty: the token "abc.DEF-1_~+/=="
}

const presented = "abc.DEF-1_~+/=="

var requestRows = []requestRow{
	{name: "nothing", want: NoToken},
	{name: "bearer", values: []string{"Bearer " + presented}},
	{name: "lower case", values: []string{"bearer " + presented}},
	{name: "upper case", values: []string{"BEARER " + presented}},
	{name: "two spaces", values: []string{"Bearer  " + presented}},
	{name: "other query", values: []string{"Bearer " + presented}, query: "?session=1&access=2"},
	{name: "other form", values: []string{"Bearer " + presented}, form: "grant=x"},
	{name: "two headers", values: []string{"Bearer " + presented, "Bearer " + presented}, want: SeveralTokens},
	{name: "bearer and basic", values: []string{"Basic YTpi", "Bearer " + presented}, want: SeveralTokens},
	{name: "two tokens in one header", values: []string{"Bearer a, Bearer b"}, want: MalformedHeader},
	{name: "two tokens with a space", values: []string{"Bearer a b"}, want: MalformedHeader},
	{name: "empty", values: []string{""}, want: MalformedHeader},
	{name: "no token", values: []string{"Bearer"}, want: MalformedHeader},
	{name: "spaces for a token", values: []string{"Bearer   "}, want: MalformedHeader},
	{name: "no scheme", values: []string{presented}, want: MalformedHeader},
	{name: "tab", values: []string{"Bearer\t" + presented}, want: MalformedHeader},
	{name: "quotes", values: []string{`Bearer "abc"`}, want: MalformedHeader},
	{name: "padding inside", values: []string{"Bearer a=b"}, want: MalformedHeader},
	{name: "only padding", values: []string{"Bearer =="}, want: MalformedHeader},
	{name: "not ASCII", values: []string{"Bearer ab\u00e9"}, want: MalformedHeader},
	{name: "control character", values: []string{"Bearer ab\x00"}, want: MalformedHeader},
	{name: "too long", values: []string{"Bearer " + strings.Repeat("a", MaxToken+1)}, want: TooLarge},
	{name: "basic", values: []string{"Basic YTpi"}, want: OtherScheme},
	{name: "digest", values: []string{"Digest " + presented}, want: OtherScheme},
	{name: "dpop", values: []string{"DPoP " + presented}},
	{name: "dpop in lower case", values: []string{"dpop " + presented}},
	{name: "dpop without a token", values: []string{"DPoP"}, want: MalformedHeader},
	{name: "dpop, too long", values: []string{"DPoP " + strings.Repeat("a", MaxToken+1)}, want: TooLarge},
	{name: "dpop and bearer", values: []string{"DPoP " + presented, "Bearer " + presented}, want: SeveralTokens},
	{name: "query", query: "?access_token=" + presented, want: TokenInQuery},
	{name: "query without a value", query: "?access_token", want: TokenInQuery},
	{name: "query, escaped", query: "?access%5Ftoken=x", want: TokenInQuery},
	{name: "query beside a broken pair", query: "?a=%zz&access_token=x", want: TokenInQuery},
	{name: "query and header", values: []string{"Bearer " + presented}, query: "?access_token=x", want: TokenInQuery},
	{name: "form", form: "a=b&access_token=" + presented, want: TokenInForm},
	{name: "form and header", values: []string{"Bearer " + presented}, form: "access_token=x", want: TokenInForm},
	{name: "JSON sent as a form", form: `{"jsonrpc":"2.0"}`, want: NoToken},
}

// scheme is what the row's first header is read as.
func (row requestRow) scheme() string {
	if strings.HasPrefix(strings.ToLower(row.values[0]), "dpop") {
		return oauth.SchemeDPoP
	}
	return oauth.SchemeBearer
}

func (row requestRow) request() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/mcp"+row.query, strings.NewReader(row.form))
	if row.form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	}
	if row.values != nil {
		r.Header["Authorization"] = row.values
	}
	return r
}

func TestReq013_Req014_Req015_Req017_FromRequest(t *testing.T) {
	for _, row := range requestRows {
		t.Run(row.name, func(t *testing.T) {
			r := row.request()
			got, err := FromRequest(r)
			if body, _ := io.ReadAll(r.Body); string(body) != row.form {
				t.Errorf("the body became %q", body)
			}
			if row.want == "" {
				if err != nil || got.Token.Reveal() != presented || got.Scheme != row.scheme() || got.Method != http.MethodPost || got.Path != "/mcp" {
					t.Fatalf("%+v with the token %q, %v", got, got.Token.Reveal(), err)
				}
				return
			}
			refusal := refusalOf(t, err, row.want, secret.New(presented))
			if got.Token.IsSet() {
				t.Error("a refused request has a token")
			}
			status, code, challenge := http.StatusBadRequest, oauth.CodeInvalidRequest, false
			if row.want == NoToken || row.want == OtherScheme {
				status, code, challenge = http.StatusUnauthorized, oauth.CodeUnauthorized, true
			}
			if row.want == TooLarge {
				status, code, challenge = http.StatusUnauthorized, oauth.CodeInvalidToken, true
			}
			if refusal.Status != status || refusal.Code != code || refusal.Challenge != challenge {
				t.Errorf("%d %s, challenge %v", refusal.Status, refusal.Code, refusal.Challenge)
			}
		})
	}
}

func TestReq014_CookiesAreNoPlaceForTokens(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/mcp/sse", nil)
	r.AddCookie(&http.Cookie{Name: "access_token", Value: "abc"})
	_, err := FromRequest(r)
	wantRefusal(t, err, NoToken, secret.Value{})
}

// A form that is longer than what is looked at arrives whole.
func TestLongFormIsPutBack(t *testing.T) {
	long := "a=" + strings.Repeat("x", 2*maxFormPeek)
	r := requestRow{form: long, values: []string{"Bearer " + presented}}.request()
	if _, err := FromRequest(r); err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != long {
		t.Errorf("%d bytes arrived, %v", len(body), err)
	}
}

func TestAccessTravelsInTheContext(t *testing.T) {
	if _, ok := FromContext(t.Context()); ok {
		t.Error("an empty context is authenticated")
	}
	want := Access{Principal: oauth.Principal{Subject: "alice"}, Token: secret.New("abc")}
	got, ok := FromContext(WithAccess(t.Context(), want))
	if !ok || got.Principal.Subject != "alice" || !got.Token.Equal(want.Token) {
		t.Errorf("got %+v, %v", got, ok)
	}
}
