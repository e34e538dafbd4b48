package telemetry

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
)

// Keys of the attributes that name a person.
const (
	keySubject     = "subject"
	keySubjectHash = "subject_hash"
	keyActor       = "actor"
)

// ActorPerson stands before the pseudonym of a person in [Audit.Actor], to tell
// it from the id of a client; ActorSeparator between an actor and the one that
// acted before.
const (
	ActorPerson    = "person:"
	ActorSeparator = " < "
)

// rawSubject is a person's name on its way to a handler that may write it. Any
// other handler writes nothing of it.
type rawSubject string

// LogValue withholds the name: handlers leave empty groups out.
func (rawSubject) LogValue() slog.Value { return slog.GroupValue() }

func subjectValue(subject string) slog.Value {
	if subject == "" {
		return slog.Value{}
	}
	return slog.AnyValue(rawSubject(subject))
}

// people turns what the packages know of a person into what log lines and audit
// records may say. The zero people changes nothing and names nobody.
type people struct {
	key   []byte
	named bool // audit records say who it was
}

// newPeople derives the key of the pseudonyms from the key that replicas share.
// Without one the key lives as long as the process: a plain hash of a subject
// that somebody knows, or can count through, is no pseudonym.
func newPeople(shared []byte, named bool) (people, error) {
	if len(shared) == 0 {
		shared = make([]byte, sha256.Size)
		_, _ = rand.Read(shared) // never fails
	}
	key, err := hkdf.Key(sha256.New, shared, nil, "oauth-mcp-server audit subject", sha256.Size)
	if err != nil {
		return people{}, fmt.Errorf("audit: %w", err)
	}
	return people{key: key, named: named}, nil
}

// pseudonym returns what stands for a hash that anybody could compute.
func (p people) pseudonym(hash string) string {
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte(hash))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// say returns the attribute as it may be written, false when it may not.
func (p people) say(attr slog.Attr) (slog.Attr, bool) {
	switch attr.Key {
	case keySubjectHash:
		if p.key == nil {
			break
		}
		attr.Value = slog.StringValue(p.pseudonym(attr.Value.String()))
	case keyActor:
		if p.key == nil {
			break
		}
		chain := strings.Split(attr.Value.String(), ActorSeparator)
		for i, actor := range chain {
			if hash, person := strings.CutPrefix(actor, ActorPerson); person {
				chain[i] = ActorPerson + p.pseudonym(hash)
			}
		}
		attr.Value = slog.StringValue(strings.Join(chain, ActorSeparator))
	case keySubject:
		name, ok := attr.Value.Any().(rawSubject)
		if !ok || !p.named {
			return slog.Attr{}, false
		}
		attr.Value = slog.StringValue(string(name))
	}
	return attr, true
}
