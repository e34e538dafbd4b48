package tool

import (
	"encoding/json"
	"strings"
	"testing"
)

const uploadTool = `method: POST
path: /upload
body: {content_type: multipart, fields: {file: {name: upload, base64: true, filename: called}, note: note}}
input:
  type: object
  properties: {file: {}, called: {}, note: {type: string}}
  additionalProperties: false`

// TestReq072_FileNames: the name of a file is the caller's, and nothing but a
// name.
func TestReq072_FileNames(t *testing.T) {
	catalogue := toolThat(uploadTool)
	for arguments, want := range map[string]string{
		`{"file":"","called":"report.pdf"}`:                     "report.pdf",
		`{"file":""}`:                                           "upload",
		`{"file":"","called":null}`:                             "upload",
		`{"file":["",""]}`:                                      "upload|upload",
		`{"file":["",""],"called":"a.txt"}`:                     "a.txt|a.txt",
		`{"file":["",""],"called":["a.txt","b.txt"]}`:           "a.txt|b.txt",
		`{"file":["",null,""],"called":["a.txt","b.txt",null]}`: "a.txt|upload",
		`{"file":"","called":["a.txt"]}`:                        "a.txt",
		`{"file":[],"called":[]}`:                               "",
		`{"note":"x"}`:                                          "",
		`{"file":"","called":"/etc/passwd"}`:                    "passwd",
		`{"file":"","called":"..\\..\\C:\\boot.ini"}`:           "boot.ini",
		`{"file":"","called":" Año 2026 – \"draft\".md "}`:      `Año 2026 – "draft".md`,
		`{"file":"","called":"a\r\nX-Evil: 1\u0000\u202etxt"}`:  "aX-Evil: 1txt",
	} {
		request, body, err := requestOf(t, catalogue, arguments)
		if err != nil {
			t.Errorf("%s: %v", arguments, err)
			continue
		}
		var names []string
		for _, part := range parts(t, request, body) {
			if name, _, _ := strings.Cut(strings.TrimPrefix(part, "upload "), " application/octet-stream"); strings.HasPrefix(part, "upload ") {
				names = append(names, name)
			}
		}
		if got := strings.Join(names, "|"); got != want {
			t.Errorf("%s: named %q, want %q", arguments, got, want)
		}
		if strings.Contains(body, "\nX-Evil") {
			t.Errorf("a name became a header: %s", body)
		}
	}
	long, err := json.Marshal(strings.Repeat("é", maxFileName/2+1))
	if err != nil {
		t.Fatal(err)
	}
	const noName = `The argument "called" must be a file's name of at most 255 bytes, such as report.pdf`
	for arguments, want := range map[string]string{
		`{"file":"","called":""}`:                   noName,
		`{"file":"","called":".."}`:                 noName,
		`{"file":"","called":"docs/"}`:              noName,
		`{"file":"","called":"\u200b"}`:             noName,
		`{"file":"","called":7}`:                    noName,
		`{"file":"","called":` + string(long) + `}`: noName,
		`{"file":["",""],"called":["a"]}`:           `The argument "called" has 1 names for 2 files; give a name for each, or one text for all`,
		`{"file":"","called":["a","b"]}`:            "has 2 names for 1 files",
		`{"called":"a.txt"}`:                        `The argument "called" names a file that is not there; give "file" too`,
		`{"file":null,"called":"a.txt"}`:            "names a file that is not there",
	} {
		_, _, err := requestOf(t, catalogue, arguments)
		wantInvalid(t, err, want)
	}
}
