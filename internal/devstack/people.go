package devstack

import (
	"slices"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// permissionTeams is what Otus asks for before it answers /teams.
const permissionTeams = "teams:read"

// standardScopes is what the authorization server supports, as the real one
// does: permissions of an API are not scopes that clients are told of.
var standardScopes = oauth.Scopes{"openid", "profile", "email", "offline_access"}

// person is an account of the development stack.
type person struct {
	id          string // what "user", "--sign-in" and login_hint name
	subject     string // "sub", in Auth0's form
	name        string
	email       string
	permissions []string
	maxLifetime time.Duration // of an access token; 0 means the stack's own
}

// people are the accounts, in the order of the sign-in page.
var people = []person{
	{id: "ana", subject: "auth0|ana", name: "Ana", email: "ana@example.com", permissions: []string{permissionTeams}},
	{id: "bruno", subject: "auth0|bruno", name: "Bruno", email: "bruno@example.com"},
	{id: "carla", subject: "auth0|carla", name: "Carla", email: "carla@example.com", permissions: []string{permissionTeams}, maxLifetime: time.Minute},
}

// findPerson returns the person that text names by id, subject, e-mail or
// name.
func findPerson(text string) (person, bool) {
	for _, p := range people {
		if strings.EqualFold(text, p.id) || text == p.subject || strings.EqualFold(text, p.email) || strings.EqualFold(text, p.name) {
			return p, true
		}
	}
	return person{}, false
}

func peopleIDs() []string {
	ids := make([]string, 0, len(people))
	for _, p := range people {
		ids = append(ids, p.id)
	}
	return ids
}

// grantable returns the scopes of asked that p may give: the standard ones and
// p's own permissions, as Auth0 does with role-based access control.
func (p person) grantable(asked oauth.Scopes) oauth.Scopes {
	granted := oauth.Scopes{}
	for _, scope := range asked {
		if standardScopes.Has(scope) || slices.Contains(p.permissions, scope) {
			granted = append(granted, scope)
		}
	}
	return granted
}

// lifetime returns how long p's access tokens live.
func (p person) lifetime(standard time.Duration) time.Duration {
	if p.maxLifetime > 0 && p.maxLifetime < standard {
		return p.maxLifetime
	}
	return standard
}

// ownPermissions never returns nil, so that the claim is always an array.
func (p person) ownPermissions() []string { return append([]string{}, p.permissions...) }
