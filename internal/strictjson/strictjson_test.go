package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseObject(t *testing.T) {
	many := func(n int, last string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%q:%d,", fmt.Sprint("k", i), i)
		}
		return "{" + b.String() + last + "}"
	}
	for _, tc := range []struct {
		name, raw string
		want      map[string]string
		err       error
	}{
		{"empty", ` { } `, map[string]string{}, nil},
		{"scalars", `{"a":1, "b" : true ,"c":null,"d":"x"}`, map[string]string{"a": "1", "b": "true", "c": "null", "d": `"x"`}, nil},
		{"nested", `{"a":{"b":[1,{"c":"}]"}]},"z":[]}`, map[string]string{"a": `{"b":[1,{"c":"}]"}]}`, "z": "[]"}, nil},
		{"escapes", `{"a\"b":"q\\","c":"\\\""}`, map[string]string{`a"b`: `"q\\"`, "c": `"\\\""`}, nil},
		{"unicode key", `{"\u0073ub":1}`, map[string]string{"sub": "1"}, nil},
		{"duplicate", `{"a":1,"a":2}`, nil, ErrDuplicate},
		{"duplicate by escape", `{"sub":1,"\u0073ub":2}`, nil, ErrDuplicate},
		{"duplicate of many", many(40, `"k3":1`), nil, ErrDuplicate},
		{"case is kept apart", `{"a":1,"A":2}`, map[string]string{"a": "1", "A": "2"}, nil},
		{"array", `[1]`, nil, ErrNotObject},
		{"text", `"x"`, nil, ErrNotObject},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := Check([]byte(tc.raw), 10); err != nil {
				t.Fatal(err)
			}
			object, err := ParseObject([]byte(tc.raw))
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if tc.err != nil {
				return
			}
			got := map[string]string{}
			for _, member := range object {
				got[member.Key] = string(member.Value)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		raw string
		err error
	}{
		{`{"a":[[1]]}`, nil},
		{`{"a":[[[1]]]}`, ErrTooDeep},
		{`"[[[[[["`, nil},
		{`{"a":"\"[[[["}`, nil},
		{`{`, ErrSyntax},
		{`{} {}`, ErrSyntax},
		{"\"\xff\"", ErrSyntax},
		{``, ErrSyntax},
	} {
		if err := Check([]byte(tc.raw), 3); !errors.Is(err, tc.err) {
			t.Errorf("Check(%s) = %v, want %v", tc.raw, err, tc.err)
		}
	}
}

func TestFoldedCollision(t *testing.T) {
	object, err := ParseObject([]byte(`{"sub":"alice","ſub":"mallory"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := object.FoldedCollision("iss", "sub"); got != "ſub" {
		t.Errorf("FoldedCollision = %q", got)
	}
	if text, ok := object.Text("sub"); !ok || text != "alice" {
		t.Errorf("Text(sub) = %q, %v", text, ok)
	}
}

// Whatever ParseObject accepts, encoding/json reads alike, key by key.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,{"b":"}"}],"c":"\\"}`, `{"a":1,"a":2}`, ` {"x" : -1.5e3 , "y":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if Check(raw, 32) != nil {
			return
		}
		object, err := ParseObject(raw)
		var want map[string]json.RawMessage
		stdErr := json.Unmarshal(raw, &want)
		if err != nil {
			if stdErr == nil && want != nil && !errors.Is(err, ErrDuplicate) {
				t.Fatalf("refused what is an object: %v", err)
			}
			return
		}
		if stdErr != nil {
			t.Fatalf("accepted what is no object: %s", raw)
		}
		got := map[string]json.RawMessage{}
		for _, member := range object {
			got[member.Key] = member.Value
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-encoding/json +ours):\n%s", diff)
		}
	})
}

func TestUnique(t *testing.T) {
	for raw, want := range map[string]error{
		`{"a":[{"b":1,"c":{"b":2}},{"b":3}],"b":null}`: nil,
		`[1,"a",true]`:                 nil,
		`7`:                            nil,
		`{"a":1,"a":2}`:                ErrDuplicate,
		`[{"x":[{"a":1,"\u0061":2}]}]`: ErrDuplicate,
	} {
		if err := Unique([]byte(raw)); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", raw, err, want)
		}
	}
}
