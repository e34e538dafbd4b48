package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// maxListItems bounds one list setting.
const maxListItems = 100

// decode reads text, which is not empty, into target, a pointer to one of the
// types that [Config] uses. On an error target keeps its value.
func decode(field Field, text string, target any) error {
	problem := func(shape, fix string) error { return &Problem{Name: field.Name, Shape: shape, Fix: fix} }
	switch target := target.(type) {
	case *string:
		if len(field.Values) == 0 {
			*target = text
			return nil
		}
		word := strings.ToLower(text)
		if !slices.Contains(field.Values, word) {
			return problem(quoted(text), "use "+alternatives(field.Values))
		}
		*target = word
	case *secret.Value:
		*target = secret.New(text)
	case *[]string:
		items, err := list(text)
		if err != nil {
			return problem(err.Error(), "shorten the list")
		}
		*target = items
	case *oauth.Scopes:
		items, err := list(text)
		if err != nil {
			return problem(err.Error(), "shorten the list")
		}
		*target = items
	case *time.Duration:
		value, err := time.ParseDuration(text)
		if err != nil {
			return problem(quoted(text), "use a number with a unit, such as 30s, 5m or 1h")
		}
		*target = value
	case *Rate:
		value, err := parseRate(text)
		if err != nil {
			return problem(quoted(text), "use a number and a time, such as 1200/1m, or off")
		}
		*target = value
	case *[]netip.Prefix:
		prefixes, err := networks(field.Name, text)
		if err != nil {
			return err
		}
		*target = prefixes
	default:
		return fmt.Errorf("setting %s has a type that cannot be decoded", field.Name)
	}
	return nil
}

// list splits text at commas and white space and drops repetitions.
func list(text string) ([]string, error) {
	var items []string
	for item := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' }) {
		if !slices.Contains(items, item) {
			items = append(items, item)
		}
		if len(items) > maxListItems {
			return nil, fmt.Errorf("a list of more than %d entries", maxListItems)
		}
	}
	return items, nil
}

// networks reads a list of CIDR ranges; a bare address stands for itself. Every
// bad entry is reported.
func networks(name, text string) ([]netip.Prefix, error) {
	items, err := list(text)
	if err != nil {
		return nil, &Problem{Name: name, Shape: err.Error(), Fix: "shorten the list"}
	}
	var prefixes []netip.Prefix
	var problems []error
	for _, item := range items {
		prefix, err := network(item)
		if err != nil {
			problems = append(problems, &Problem{
				Name: name, Shape: "entry " + quoted(item),
				Fix: "use addresses and CIDR ranges, such as 10.0.0.0/8 or fd00::/8",
			})
			continue
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, errors.Join(problems...)
}

func network(item string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(item); err == nil {
		if addr.Zone() != "" {
			return netip.Prefix{}, errors.New("an address with a zone")
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(item)
	if err != nil {
		return netip.Prefix{}, err
	}
	if prefix.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("an IPv4 range written as IPv6 never matches")
	}
	return prefix.Masked(), nil
}

// alternatives writes "a, b or c".
func alternatives(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// encode writes the value behind pointer as people read it; secrets masked.
func encode(pointer any) string {
	switch value := pointer.(type) {
	case *string:
		return *value
	case *secret.Value:
		if !value.IsSet() {
			return ""
		}
		return value.String()
	case *[]string:
		return strings.Join(*value, " ")
	case *oauth.Scopes:
		return value.String()
	case *time.Duration:
		return durationText(*value)
	case *Rate:
		return value.String()
	case *[]netip.Prefix:
		texts := make([]string, len(*value))
		for i, prefix := range *value {
			texts[i] = prefix.String()
		}
		return strings.Join(texts, " ")
	default:
		return ""
	}
}

// durationText writes an hour as 1h, not as 1h0m0s.
func durationText(value time.Duration) string {
	text := value.String()
	if short, found := strings.CutSuffix(text, "m0s"); found {
		text = short + "m"
	}
	if short, found := strings.CutSuffix(text, "h0m"); found {
		text = short + "h"
	}
	return text
}
