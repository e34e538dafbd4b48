package authcode

import (
	"testing"
	"time"
)

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
