package seal

import "testing"

const testKey = "0123456789abcdef0123456789abcdef"

func testSealer(tb testing.TB, material, purpose string) Sealer {
	tb.Helper()
	s, err := New([]byte(material), purpose)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestSealedOpensOnlyInItsOwnContext(t *testing.T) {
	s := testSealer(t, testKey, "p")
	text := s.Seal([]byte("plain"), "context")
	if plain, ok := s.Open(text, "context"); !ok || string(plain) != "plain" {
		t.Fatal("does not open")
	}
	if s.Seal([]byte("plain"), "context") == text {
		t.Error("two sealed texts are the same")
	}
	for name, open := range map[string]func() ([]byte, bool){
		"other context": func() ([]byte, bool) { return s.Open(text, "other") },
		"other purpose": func() ([]byte, bool) { return testSealer(t, testKey, "q").Open(text, "context") },
		"other key":     func() ([]byte, bool) { return testSealer(t, testKey+"x", "p").Open(text, "context") },
		"zero sealer":   func() ([]byte, bool) { return Sealer{}.Open(text, "context") },
		"newline":       func() ([]byte, bool) { return s.Open(text[:8]+"\n"+text[8:], "context") },
		"padding":       func() ([]byte, bool) { return s.Open(text+"=", "context") },
		"empty":         func() ([]byte, bool) { return s.Open("", "context") },
		"short":         func() ([]byte, bool) { return s.Open("AAAA", "context") },
		"cut":           func() ([]byte, bool) { return s.Open(text[:len(text)-4], "context") },
		"longer":        func() ([]byte, bool) { return s.Open(text+"AAAA", "context") },
	} {
		if _, ok := open(); ok {
			t.Errorf("%s opens it", name)
		}
	}
}

// FuzzOpen holds that a text opens only when it is, byte for byte, the one that
// was sealed. Fuzzing processes do not share the random nonce, so the input says
// how to spoil the sealed text.
func FuzzOpen(f *testing.F) {
	s := testSealer(f, testKey, "p")
	sealed := s.Seal([]byte(`[{"s":"state"}]`), "context")
	f.Add(uint(0), sealed[0], "", "")
	f.Add(uint(20), byte('A'), "", "")
	f.Add(uint(len(sealed)-1), byte('\n'), "", "")
	f.Add(uint(0), sealed[0], "", "\n")
	f.Add(uint(0), sealed[0], "\r", "=")
	f.Fuzz(func(t *testing.T, at uint, with byte, before, after string) {
		spoiled := []byte(sealed)
		spoiled[at%uint(len(spoiled))] = with
		for _, text := range []string{before + string(spoiled) + after, before + after, before} {
			if _, ok := s.Open(text, "context"); ok != (text == sealed) {
				t.Errorf("open(%q) is %t", text, ok)
			}
		}
	})
}
