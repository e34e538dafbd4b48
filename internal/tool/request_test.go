package tool

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// toolThat is a catalogue of one tool, called t, that says more about itself.
func toolThat(more string) string {
	return "upstreams: {otus: {url: 'https://otus.example/v1', credential: none}}\ntools:\n" +
		"  - name: t\n    description: d\n    upstream: otus\n    " + strings.ReplaceAll(more, "\n", "\n    ") + "\n"
}

// requestOf is the request that a tool makes of arguments, as an API reads it.
func requestOf(t *testing.T, catalogue, arguments string) (request *http.Request, body string, err error) {
	t.Helper()
	tool := mustLoad(t, catalogue).tools[0]
	checked, err := checkArguments(tool.input, json.RawMessage(arguments), tool.maxArguments())
	if err != nil {
		return nil, "", err
	}
	if request, err = tool.binding.request(t.Context(), checked); err != nil || request.Body == nil {
		return request, "", err
	}
	content, err := io.ReadAll(io.LimitReader(request.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return request, string(content), nil
}

func wantInvalid(t *testing.T, err error, want string) {
	t.Helper()
	invalid, ok := errors.AsType[*InvalidArgumentsError](err)
	if !ok || !strings.Contains(invalid.Detail, want) {
		t.Fatalf("got %v, want %q", err, want)
	}
}

const pathTool = `method: GET
path: /teams/{id}/v{rev}.json{more}
params:
  - {argument: list, in: path, name: more, style: matrix, explode: true}
input:
  type: object
  required: [id, rev, list]
  properties: {id: {type: string}, rev: {type: number}, list: {type: array, items: {type: string}}}
  additionalProperties: false`

func TestReq071_PathsKeepTheirRoute(t *testing.T) {
	catalogue := toolThat(pathTool)
	for id, want := range map[string]string{
		`a b`:      "/teams/a%20b/v1.json;more=x",
		`ü?#&=;:@`: "/teams/%C3%BC%3F%23%26%3D%3B%3A%40/v1.json;more=x",
		`...`:      "/teams/.../v1.json;more=x",
		`a.b`:      "/teams/a.b/v1.json;more=x",
		`.`:        "", `..`: "", `../admin`: "", `a/b`: "", `/`: "", `\\`: "", `..\\..`: "", `%2f`: "", `%2e%2e`: "", `%252e`: "", `100%`: "",
		`..;x`: "", `a\u0000`: "", `a\r\nHost: evil.example`: "", `\u0085`: "", ``: "", `a%00`: "",
	} {
		request, _, err := requestOf(t, catalogue, `{"id":"`+id+`","rev":1,"list":["x"]}`)
		if want == "" {
			wantInvalid(t, err, "must not")
		} else if err != nil || request.URL.EscapedPath() != want {
			t.Errorf("%s: got %v, %v, want %s", id, request, err, want)
		}
	}
	for list, want := range map[string]string{
		`["a","b/c"]`: `The argument "list" must not contain a slash`, `[]`: "must not be empty", `["a",["b"]]`: `The argument "list" is not as declared`,
	} {
		_, _, err := requestOf(t, catalogue, `{"id":"a","rev":1,"list":`+list+`}`)
		wantInvalid(t, err, want)
	}
	request, _, err := requestOf(t, catalogue, `{"id":"a","rev":12345678901234567890.10,"list":["x","y"]}`)
	if err != nil || request.URL.EscapedPath() != "/teams/a/v12345678901234567890.10.json;more=x;more=y" {
		t.Errorf("got %v, %v", request, err)
	}
}

// The second look does not know how a path was built.
func TestReq071_SecondLookAtTheRoute(t *testing.T) {
	const template = "/a/{x}/b{y}"
	for path, same := range map[string]bool{
		"/a/1/b2": true, "/a/%20/b": true, "/a/1/b2/": false, "/a/1": false, "/A/1/b2": false, "/a//b": false, "/a/../b2": false, "/a/%2e%2E/b": false,
		"/a/1%2f2/b": false, "/a/1%5c/b": false, "/a/%252e/b": false, "/a/%zz/b": false, "/a/1?x/b": false, "/a/1#/b": false, "/a/..;x/b": false,
		"/a/%00/b": false, "/a/%C2%85/b": false, "/a/%ff/b": false, "/a/ü/b": false,
	} {
		if err := checkRoute(template, path); (err == nil) != same {
			t.Errorf("%s: %v, want the route kept: %v", path, err, same)
		}
	}
}

func TestReq072_QueryHeaderAndCookie(t *testing.T) {
	catalogue := toolThat(`method: GET
path: /find
query: {q: q}
params:
  - {argument: ids, in: query, name: "ids[]"}
  - {argument: csv, in: query, explode: false}
  - {argument: where, in: query, style: deepObject}
  - {argument: any, in: query}
  - {argument: trace, in: header, name: X-Trace-Id}
  - {argument: lang, in: cookie}
  - {argument: theme, in: cookie, name: site-theme}
input:
  type: object
  properties:
    q: {type: string}
    ids: {type: array, items: {type: integer}}
    csv: {type: array, items: {type: string}}
    where: {type: object}
    any: {type: object}
    trace: {type: [string, number]}
    lang: {type: string}
    theme: {type: string}
  additionalProperties: false`)
	for arguments, want := range map[string]string{
		`{}`: "/find",
		`{"q":"a&b=c d+#\r\n","ids":[1,9007199254740993],"csv":["a","b,c"]}`: "/find?q=a%26b%3Dc%20d%2B%23%0D%0A&ids%5B%5D=1&ids%5B%5D=9007199254740993&csv=a,b%2Cc",
		`{"where":{"a b":"1","c":2.50},"any":{"k":"v&x=y"}}`:                 "/find?where%5Ba%20b%5D=1&where%5Bc%5D=2.50&k=v%26x%3Dy",
		`{"trace":"abc 1","lang":"a; b\r\n","theme":"dark"}`:                 "/find X-Trace-Id: abc 1 Cookie: lang=a%3B%20b%0D%0A; site-theme=dark",
		`{"trace":1e2}`: "/find X-Trace-Id: 1e2",

		`{"any":{"q":"x"},"q":"y"}`:       "must not have a key that is another parameter's name",
		`{"trace":"a\r\nX-Admin: 1"}`:     `The argument "trace" must be printable ASCII in one line`,
		`{"trace":"ü"}`:                   `The argument "trace" must be printable ASCII in one line`,
		`{"trace":1e999}`:                 `The argument "trace" is not as declared`,
		`{"any":{"a":{"b":1}}}`:           "deeper ones cannot be written here",
		`{"where":{"a":1,"\u0061":2}}`:    `The argument "where" cannot be read: it has the same key twice: "a"`,
		`{"where":{"a":[{"b":1,"b":2}]}}`: "same key twice",
		`{"ids":[1,"2"]}`:                 "not as declared",
		`{"lang":["a"]}`:                  "not as declared",
		`{"where":` + strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat("}", 40) + `}`: "nested too deeply",
	} {
		request, _, err := requestOf(t, catalogue, arguments)
		if !strings.HasPrefix(want, "/") {
			wantInvalid(t, err, want)
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", arguments, err)
		}
		got := request.URL.String()
		for _, name := range []string{"X-Trace-Id", "Cookie"} {
			if value := request.Header.Get(name); value != "" {
				got += " " + name + ": " + value
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", arguments, diff)
		}
	}
}

func TestReq072_Bodies(t *testing.T) {
	const input = `
input:
  type: object
  properties: {name: {type: string}, size: {type: number}, tags: {type: array}, meta: {type: object}, all: {}}
  additionalProperties: false`
	rest := func(names ...string) (fields string) { // the other arguments need a place too
		for _, name := range names {
			fields += ", " + name + ": " + name
		}
		return fields
	}
	others := "\nparams: [{argument: name, in: query}, {argument: size, in: query}, {argument: tags, in: query}, {argument: meta, in: query}]"
	fields := "{name: full_name" + rest("size", "tags", "meta", "all") + "}"
	for name, tc := range map[string]struct{ body, arguments, contentType, want, wrong string }{
		"JSON from members": {
			body:      "{content_type: json, fields: " + fields + "}",
			arguments: `{"size": 1.50e3, "name": "a\u000d<b>", "meta": {"z": 1, "a": [ 2 ]}}`, contentType: "application/json",
			want: `{"meta":{"z": 1, "a": [ 2 ]},"full_name":"a\u000d<b>","size":1.50e3}`,
		},
		"no members":          {body: "{content_type: json, fields: " + fields + "}", arguments: `{}`, contentType: "application/json", want: `{}`},
		"JSON whole":          {body: "{content_type: json, argument: all}" + others, arguments: `{"all": [1.0, {"b" : null}]}`, contentType: "application/json", want: `[1.0, {"b" : null}]`},
		"other JSON":          {body: "{content_type: json, media_type: application/merge-patch+json, argument: all}" + others, arguments: `{"all":{}}`, contentType: "application/merge-patch+json", want: `{}`},
		"not given":           {body: "{content_type: json, argument: all}" + others, arguments: `{}`},
		"a key twice":         {body: "{content_type: json, argument: all}" + others, arguments: `{"all":{"a":{"b":1,"b":2}}}`, wrong: "same key twice"},
		"form from members":   {body: "{content_type: form, fields: " + fields + "}", arguments: `{"name":"a&b=c\r\n","tags":["x","y z"],"size":10}`, contentType: "application/x-www-form-urlencoded", want: "full_name=a%26b%3Dc%0D%0A&size=10&tags=x&tags=y%20z"},
		"form whole":          {body: "{content_type: form, argument: all}" + others, arguments: `{"all":{"a":[1,2],"b":{"c":[ 3 ]},"d":null}}`, contentType: "application/x-www-form-urlencoded", want: "a=1&a=2&b=%7B%22c%22%3A%5B3%5D%7D"},
		"form of no object":   {body: "{content_type: form, argument: all}" + others, arguments: `{"all":"a=b"}`, wrong: `The argument "all" must be an object`},
		"form of too much":    {body: "{content_type: form, fields: " + fields + "}", arguments: `{"tags":[[1]]}`, wrong: `The argument "tags" cannot be written as a form`},
		"members of one name": {body: "{content_type: form, fields: " + fields + "}", arguments: `{"meta":{"size":1},"size":2}`, wrong: "another parameter's name"},
		"text":                {body: "{content_type: text, argument: all}" + others, arguments: `{"all":"a\nü"}`, contentType: "text/plain; charset=utf-8", want: "a\nü"},
		"other text":          {body: "{content_type: text, media_type: text/csv, argument: all}" + others, arguments: `{"all":"a,b"}`, contentType: "text/csv", want: "a,b"},
		"text of no string":   {body: "{content_type: text, argument: all}" + others, arguments: `{"all":{}}`, wrong: "must be a text"},
		"binary":              {body: "{content_type: binary, media_type: image/png, argument: all}" + others, arguments: `{"all":"AP8="}`, contentType: "image/png", want: "\x00\xff"},
		"binary of a text":    {body: "{content_type: binary, argument: all}" + others, arguments: `{"all":"no base64"}`, wrong: "must be Base64"},
	} {
		t.Run(name, func(t *testing.T) {
			request, body, err := requestOf(t, toolThat("method: POST\npath: /t\nbody: "+tc.body+input), tc.arguments)
			if tc.wrong != "" {
				wantInvalid(t, err, tc.wrong)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := request.Header.Get("Content-Type"); body != tc.want || got != tc.contentType || request.ContentLength != int64(len(tc.want)) {
				t.Errorf("got %q (%s, %d bytes), want %q (%s)", body, got, request.ContentLength, tc.want, tc.contentType)
			}
		})
	}
}

// parts returns the parts of a multipart body: name, file name, media type, content.
func parts(t *testing.T, request *http.Request, body string) (got []string) {
	t.Helper()
	_, parameters, err := mime.ParseMediaType(request.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	for reader := multipart.NewReader(strings.NewReader(body), parameters["boundary"]); ; {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(io.LimitReader(part, 1<<10))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, part.FormName()+" "+part.FileName()+" "+part.Header.Get("Content-Type")+" "+string(content))
	}
}

func TestReq072_MultipartBody(t *testing.T) {
	catalogue := toolThat(`method: POST
path: /upload
body:
  content_type: multipart
  fields:
    file: {name: 'up"load', base64: true, media_type: image/png}
    note: note
    tags: tag
    meta: meta
    rows: row
input:
  type: object
  properties: {file: {type: string}, note: {type: [string, number, "null"]}, tags: {type: array}, meta: {type: object}, rows: {type: array}}
  additionalProperties: false`)
	request, body, err := requestOf(t, catalogue, `{"file":"iVBO","note":"--x\r\nContent-Type: evil","tags":["a",2.50],"meta":{"a":1},"rows":[{"b":2},[3]]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`up"load up"load image/png ` + "\x89PN", `meta  application/json {"a":1}`, "note   --x\r\nContent-Type: evil", `row  application/json {"b":2}`, "row  application/json [3]", "tag   a", "tag   2.50",
	}
	if diff := cmp.Diff(want, parts(t, request, body)); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	large := `{"file":"` + strings.Repeat("AAAA", maxArguments/4) + `"}`
	if _, body, err = requestOf(t, catalogue, large); err != nil || len(body) < maxArguments*3/4 {
		t.Errorf("a file of %d bytes: got %d, %v", len(large), len(body), err)
	}
	_, _, err = requestOf(t, catalogue, `{"file":"`+strings.Repeat("A", maxUpload)+`"}`)
	wantInvalid(t, err, "larger than the 786432 bytes allowed")
	_, _, err = requestOf(t, catalogue, `{"file":"not base64"}`)
	wantInvalid(t, err, `The argument "file" cannot be written as a part: "up\"load" must be a file's content in Base64`)
	if _, body, err = requestOf(t, catalogue, `{"note":null}`); err != nil || strings.Count(body, "Content-Disposition") != 0 {
		t.Errorf("got %q, %v", body, err)
	}
}

// Each row spoils one detail of how a good tool's request is made.
func TestRequestErrorsHaveLineAndFix(t *testing.T) {
	const good = `method: POST
path: /teams/{id}
query: {q: q}
params:
  - {argument: tag, in: header, name: X-Tag}
body: {content_type: json, fields: {name: name}}
input:
  type: object
  required: [id]
  properties: {id: {type: string}, q: {type: string}, tag: {type: string}, name: {type: string}}
  additionalProperties: false`
	mustLoad(t, toolThat(good))
	for name, tc := range map[string]struct{ old, new, want string }{
		"no place":              {"in: header, ", "", "line 10: tools[0].params[0].in: missing; write one of: path, query, header, cookie"},
		"unknown place":         {"in: header", "in: body", `line 10: tools[0].params[0]: unknown place "body"`},
		"unknown style":         {"in: header", "in: header, style: form", `unknown style "form" for a parameter in: header; write one of: [simple]`},
		"credential":            {"X-Tag", "authorization", "the header authorization is not for tools to fill"},
		"cookies":               {"X-Tag", "Cookie", "the header Cookie is not for tools to fill"},
		"proxy":                 {"X-Tag", "X_Forwarded_For", "the header X_Forwarded_For is not for tools to fill"},
		"protocol":              {"X-Tag", "Mcp-Session-Id", "not for tools to fill"},
		"host":                  {"X-Tag", "HOST", "not for tools to fill"},
		"content type":          {"X-Tag", "Content-Type", "not for tools to fill"},
		"header name":           {"X-Tag", `"X Tag"`, "want the header's name"},
		"cookie name":           {"in: header, name: X-Tag", `in: cookie, name: "a;b"`, "want the cookie's name"},
		"query name":            {"in: header, name: X-Tag", `in: query, name: "a&b"`, "want the parameter's name"},
		"the same query":        {"in: header, name: X-Tag", `in: query, name: q`, `another argument fills the parameter "q" already`},
		"not in the path":       {"in: header, name: X-Tag", `in: path, name: tag`, "the path has no {tag}"},
		"reserved characters":   {"in: header", "in: header, allow_reserved: true", "only parameters in: path and in: query"},
		"unknown argument":      {"argument: tag", "argument: tog", `line 10: tools[0].params[0]: there is no property "tog" in input`},
		"params not a list":     {"params:\n  - {argument: tag, in: header, name: X-Tag}", "params: {tag: X-Tag}", "line 9: tools[0].params: want a list"},
		"path not required":     {"required: [id]", "required: [q]", `line 7: tools[0].path: the argument "id" is a part of the path, so it must be there`},
		"path not filled":       {"/{id}", "/{team}", `line 7: tools[0].path: nothing fills {team}`},
		"path twice":            {"/{id}", "/{id}/{id}", "{id} is there twice"},
		"open brace":            {"/{id}", "/{id", "is not a path of plain segments and {names}"},
		"slash in the path":     {"/teams/", "/a%2fb/", "line 7: tools[0].path"},
		"percent in the path":   {"/teams/", "/a%25b/", "servers could read as another path"},
		"body of a GET":         {"method: POST", "method: GET", "line 11: tools[0].body: a GET request has no body"},
		"unknown body":          {"content_type: json", "content_type: xml", `line 11: tools[0].body: unknown kind "xml"`},
		"body of nothing":       {", fields: {name: name}", "", "name the argument that is the whole body"},
		"both":                  {"fields:", "argument: name, fields:", "remove one of the two"},
		"text of fields":        {"content_type: json", "content_type: text", "a body of text is one argument"},
		"another media type":    {"content_type: json", "content_type: json, media_type: text/html", "want a media type of this kind of body, such as application/json"},
		"media type of a part":  {"fields: {name: name}", "fields: {name: {name: n, media_type: png}}", "want a media type, such as image/png"},
		"file in JSON":          {"fields: {name: name}", "fields: {name: {name: n, base64: true}}", "only a multipart body has files"},
		"name of no file":       {"fields: {name: name}", "fields: {name: {name: n, filename: q}}", "line 11: tools[0].body.fields.name: only a file that is an argument of its own has a name"},
		"name of itself":        {"json, fields: {name: name}", "multipart, fields: {name: {name: n, base64: true, filename: name}}", "a file's content cannot be its name"},
		"name from nowhere":     {"json, fields: {name: name}", "multipart, fields: {name: {name: n, base64: true, filename: x}}", `there is no property "x" in input`},
		"member twice":          {"fields: {name: name}", "fields: {name: name, q: name}", `line 11: tools[0].body.fields.q: another argument fills the member "name" already`},
		"member without a name": {"fields: {name: name}", "fields: {name: ''}", "want the member's name"},
		"unknown member":        {"fields: {name: name}", "fields: {name: name, x: x}", `there is no property "x" in input`},
		"unbound":               {"query: {q: q}\n", "", `the argument "q" goes nowhere; bind it in path, query, params or body`},
		"unknown key":           {"in: header", "at: header", `unknown key "at"; want one of: argument, in, name`},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, tc.old) {
				t.Fatalf("the good tool has no %q", tc.old)
			}
			_, err := Load([]byte(toolThat(strings.Replace(good, tc.old, tc.new, 1))), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v\nwant %q", err, tc.want)
			}
		})
	}
}

func TestResponseErrorsHaveLineAndFix(t *testing.T) {
	const good = `method: GET
path: /teams
query: {page: page}
response:
  as: json
  select: .teams
  paginate: {follow: link}
input: {type: object, properties: {page: {type: integer}}, additionalProperties: false}`
	mustLoad(t, toolThat(good))
	for name, tc := range map[string]struct{ old, new, want string }{
		"unknown form":     {"as: json", "as: xml", `line 10: tools[0].response: unknown form "xml"; write as: json, text or binary`},
		"not for text":     {"as: json", "as: text", "select, max_items, paginate and output are for JSON"},
		"no filter":        {"select: .teams", "select: .teams[", "select is not a jq filter"},
		"unknown function": {"select: .teams", "select: env.HOME | nope", "function not defined: nope/0"},
		"items":            {"as: json", "max_items: 0", "line 10: tools[0].response.max_items: want a number from 1 to 10000"},
		"bytes":            {"as: json", "max_bytes: 1e3", "line 10: tools[0].response.max_bytes: want a number from 1 to"},
		"unknown way":      {"follow: link", "follow: rel", `unknown way "rel" to the next page`},
		"no way":           {"follow: link", "items: x", "line 12: tools[0].response.paginate.follow: missing"},
		"no place":         {"follow: link", "follow: url", "follow: url needs at"},
		"no parameter":     {"follow: link", "follow: page", "follow: page needs query"},
		"useless":          {"follow: link", "follow: link, query: page", "follow: link has no query; remove it"},
		"filled already":   {"follow: link", "follow: page, query: page", `the parameter "page" is filled by an argument already`},
		"empty name":       {"follow: link", "follow: link, items: a..b", "is not names joined by dots"},
		"bad parameter":    {"follow: link", "follow: page, query: 'a&b'", "want the parameter's name"},
		"too many pages":   {"follow: link", "follow: link, max_pages: 101", "max_pages: want a number from 1 to 100"},
		"pages of a POST":  {"method: GET", "method: POST", "only a GET has pages"},
		"unknown key":      {"as: json", "kind: json", `unknown key "kind"; want one of: as, select`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load([]byte(toolThat(strings.Replace(good, tc.old, tc.new, 1))), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v\nwant %q", err, tc.want)
			}
		})
	}
}

const explodedTool = `method: POST
path: /ruled
query: {who: who}
params:
  - {argument: free, in: query}
  - {argument: filter, in: query, style: deepObject}
  - {argument: ids, in: query, name: "ids[]"}
  - {argument: exact, in: query, name: "filter[owner]"}
  - {argument: any, in: cookie}
  - {argument: lang, in: cookie}
body: {content_type: form, fields: {meta: meta, size: size}}
rule: '!has(arguments.who) || arguments.who == "me"'
input:
  type: object
  properties:
    who: {type: string, enum: [me, boss]}
    free: {type: object}
    filter: {type: object}
    ids: {type: array, items: {type: string}}
    exact: {type: string}
    any: {type: object}
    lang: {type: string}
    meta: {type: object}
    size: {type: integer, maximum: 3}
  additionalProperties: false`

// A key of an exploded object would go past the schema of the parameter whose name
// it has, and past the rule, also where that parameter is not given.
func TestReq071_KeysAreNoParametersOfOthers(t *testing.T) {
	t.Parallel()
	catalogue := toolThat(explodedTool)
	for arguments, want := range map[string]string{
		`{"free":{"who":"boss"}}`: "", `{"free":{"Who":"boss"}}`: "", `{"free":{"who[]":"boss"}}`: "", `{"free":{"who[a]":"boss"}}`: "",
		`{"free":{"filter[a]":"x"}}`: "", `{"free":{"ids":"x"}}`: "", `{"filter":{"owner":"x"}}`: "", `{"any":{"lang":"x"}}`: "", `{"meta":{"size":9}}`: "",
		`{"free":{"whom":"x","free":"y"}}`: "/ruled?free=y&whom=x",
		`{"filter":{"a":{"b":"x"}}}`:       "/ruled?filter%5Ba%5D%5Bb%5D=x",
		`{"ids":["x"],"exact":"y"}`:        "/ruled?ids%5B%5D=x&filter%5Bowner%5D=y",
		`{"any":{"a":"x"}}`:                "/ruled",
	} {
		request, _, err := requestOf(t, catalogue, arguments)
		switch {
		case want == "":
			wantInvalid(t, err, "must not have a key that is another parameter's name")
		case err != nil:
			t.Errorf("%s: %v", arguments, err)
		default:
			got, _ := url.ParseQuery(request.URL.RawQuery)
			wanted, _ := url.Parse(want)
			if diff := cmp.Diff(wanted.Query(), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", arguments, diff)
			}
		}
	}
	pages := toolThat(`method: GET
path: /list
params: [{argument: free, in: query}]
response: {paginate: {follow: page, query: page}}
input: {type: object, properties: {free: {type: object}}, additionalProperties: false}`)
	_, _, err := requestOf(t, pages, `{"free":{"page":"7"}}`)
	wantInvalid(t, err, "another parameter's name")

	sender := &stubSender{status: 200, body: "{}"}
	r := runner(t, catalogue, sender, io.Discard)
	if _, err := r.Call(t.Context(), caller(), "t", json.RawMessage(`{"who":"boss"}`)); oauth.AsRefusal(err).Status != http.StatusForbidden {
		t.Errorf("the rule allows: %v", err)
	}
	_, err = r.Call(t.Context(), caller(), "t", json.RawMessage(`{"free":{"who":"boss"}}`))
	wantInvalid(t, err, "another parameter's name")
	if sender.calls != 0 {
		t.Error("something was sent")
	}
}
