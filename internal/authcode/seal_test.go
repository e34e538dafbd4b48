package authcode

import (
	"testing"
	"time"
)

func testSealer(tb testing.TB, material, purpose string) sealer {
	tb.Helper()
	s, err := newSealer([]byte(material), purpose)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestSealedOpensOnlyInItsOwnContext(t *testing.T) {
	s := testSealer(t, testKey, "p")
	text := s.seal([]byte("plain"), "context")
	if plain, ok := s.open(text, "context"); !ok || string(plain) != "plain" {
		t.Fatal("does not open")
	}
	if s.seal([]byte("plain"), "context") == text {
		t.Error("two sealed texts are the same")
	}
	for name, open := range map[string]func() ([]byte, bool){
		"other context": func() ([]byte, bool) { return s.open(text, "other") },
		"other purpose": func() ([]byte, bool) { return testSealer(t, testKey, "q").open(text, "context") },
		"other key":     func() ([]byte, bool) { return testSealer(t, testKey+"x", "p").open(text, "context") },
		"zero sealer":   func() ([]byte, bool) { return sealer{}.open(text, "context") },
		"newline":       func() ([]byte, bool) { return s.open(text[:8]+"\n"+text[8:], "context") },
		"padding":       func() ([]byte, bool) { return s.open(text+"=", "context") },
		"empty":         func() ([]byte, bool) { return s.open("", "context") },
		"short":         func() ([]byte, bool) { return s.open("AAAA", "context") },
		"cut":           func() ([]byte, bool) { return s.open(text[:len(text)-4], "context") },
		"longer":        func() ([]byte, bool) { return s.open(text+"AAAA", "context") },
	} {
		if _, ok := open(); ok {
			t.Errorf("%s opens it", name)
		}
	}
}

func TestCookiesOfOtherClientsOrServersDoNotOpen(t *testing.T) {
	jar := func(change func(*Config)) *cookieJar {
		config := Config{ServerURL: "https://a.example", ClientID: "c"}
		change(&config)
		j, err := newCookieJar([]byte(testKey), config)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	text, err := jar(func(*Config) {}).seal([]attempt{newAttempt("https://as.example", time.Now())})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := jar(func(*Config) {}).open(text); !ok {
		t.Error("the same does not open")
	}
	for name, other := range map[string]*cookieJar{
		"server": jar(func(c *Config) { c.ServerURL = "https://b.example" }),
		"client": jar(func(c *Config) { c.ClientID = "d" }),
		"scheme": jar(func(c *Config) { c.ServerURL = "http://a.example" }),
	} {
		if _, ok := other.open(text); ok {
			t.Errorf("opens with another %s", name)
		}
	}
}

// FuzzOpen holds that a text opens only when it is, byte for byte, the one that
// was sealed. Fuzzing processes do not share the random nonce, so the input says
// how to spoil the sealed text.
func FuzzOpen(f *testing.F) {
	s := testSealer(f, testKey, "p")
	sealed := s.seal([]byte(`[{"s":"state"}]`), "context")
	f.Add(uint(0), sealed[0], "", "")
	f.Add(uint(20), byte('A'), "", "")
	f.Add(uint(len(sealed)-1), byte('\n'), "", "")
	f.Add(uint(0), sealed[0], "", "\n")
	f.Add(uint(0), sealed[0], "\r", "=")
	f.Fuzz(func(t *testing.T, at uint, with byte, before, after string) {
		spoiled := []byte(sealed)
		spoiled[at%uint(len(spoiled))] = with
		for _, text := range []string{before + string(spoiled) + after, before + after, before} {
			if _, ok := s.open(text, "context"); ok != (text == sealed) {
				t.Errorf("open(%q) is %t", text, ok)
			}
		}
	})
}
