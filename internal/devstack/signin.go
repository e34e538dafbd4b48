package devstack

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"

	"tecrolabs.dev/oauth-mcp-server/internal/negotiate"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

//go:embed signin.html
var signInHTML string

var signInTemplate = template.Must(template.New("sign-in").Parse(signInHTML))

// signInStyle is the page's whole design; the content security policy names
// its hash.
const signInStyle = `:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;margin:2rem}` +
	`main{max-width:34rem;margin:auto}.note{border-left:.25rem solid;padding-left:.75rem}` +
	`.problem{font-weight:bold}dt{font-weight:bold}dd{margin:0 0 .5rem;overflow-wrap:anywhere}` +
	`label{display:flex;gap:.5rem;padding:.25rem 0}button{font:inherit;padding:.5rem 1.5rem;margin-right:.5rem}`

// pageText is the page's wording in one language.
type pageText struct {
	Lang, Title, Development, Wants, ClientID, ReturnsTo, Resource, Scopes, NoScopes, Who, Allow, Deny string
	choose, gone, notPossible                                                                          string
	about                                                                                              map[string]string
}

var (
	english = pageText{
		Lang: "en", Title: "Sign in and allow access",
		Development: "Development stack: these accounts are not real and have no passwords.",
		Wants:       "asks for access.", ClientID: "Client", ReturnsTo: "Returns to", Resource: "For", Scopes: "Scopes",
		NoScopes: "none", Who: "Who are you?", Allow: "Allow", Deny: "Deny",
		choose:      "Choose a person first.",
		gone:        "This request is over or belongs to another browser. Start again from your application.",
		notPossible: "This request cannot go on, and the address it wants to return to is not to be trusted.",
		about: map[string]string{
			"ana": "may read teams", "bruno": "may not read teams", "carla": "may read teams; her tokens expire after 60 seconds",
		},
	}
	spanish = pageText{
		Lang: "es", Title: "Iniciar sesión y permitir el acceso",
		Development: "Entorno de desarrollo: estas cuentas no son reales y no tienen contraseña.",
		Wants:       "solicita acceso.", ClientID: "Cliente", ReturnsTo: "Vuelve a", Resource: "Para", Scopes: "Permisos",
		NoScopes: "ninguno", Who: "¿Quién es usted?", Allow: "Permitir", Deny: "Rechazar",
		choose:      "Elija primero una persona.",
		gone:        "Esta solicitud ha terminado o pertenece a otro navegador. Empiece de nuevo desde su aplicación.",
		notPossible: "Esta solicitud no puede continuar, y la dirección a la que quiere volver no es de confianza.",
		about: map[string]string{
			"ana": "puede leer equipos", "bruno": "no puede leer equipos", "carla": "puede leer equipos; sus tokens caducan a los 60 segundos",
		},
	}
)

// wording picks the page's language.
func wording(r *http.Request) pageText {
	if negotiate.Language(r.Header) == negotiate.Spanish {
		return spanish
	}
	return english
}

// page is what the template shows. Without an ID there is no form, only the
// problem.
type page struct {
	Text                                                   pageText
	Style                                                  template.CSS
	Problem, ID, CSRF, Action, Client, ClientID, ReturnsTo string
	Resources                                              []string
	Scopes                                                 oauth.Scopes
	People                                                 []choice
}

type choice struct {
	ID, Name, About string
	Chosen          bool
}

// signInPage answers GET /ares/sign-in.
func (b *broker) signInPage(w http.ResponseWriter, r *http.Request) error {
	id := r.URL.Query().Get("id")
	waiting, ok := b.signIns.find(r, id)
	if !ok {
		return badRequest("request_gone", wording(r).gone)
	}
	return b.showSignIn(w, r, http.StatusOK, id, waiting, "")
}

// decide answers POST /ares/sign-in: the person's choice.
func (b *broker) decide(w http.ResponseWriter, r *http.Request) error {
	form, err := postedForm(w, r)
	if err != nil {
		return err
	}
	id := form.Get("id")
	waiting, ok := b.signIns.find(r, id)
	if !ok || !same(form.Get("csrf"), waiting.csrf) {
		return badRequest("request_gone", wording(r).gone)
	}
	who, chosen := findPerson(form.Get("person"))
	switch decision := form.Get("decision"); {
	case decision == "deny":
		if b.signIns.done(id) {
			b.deny(w, r, waiting.request, &oauth.Refusal{Code: oauth.CodeAccessDenied, Description: "The person did not allow it"})
			return nil
		}
	case decision != "allow" || !chosen:
		return b.showSignIn(w, r, http.StatusBadRequest, id, waiting, wording(r).choose)
	case b.signIns.done(id):
		b.allow(w, r, waiting.request, b.signIns.signIn(w, who, waiting.request))
		return nil
	}
	return badRequest("request_gone", wording(r).gone)
}

func (b *broker) showSignIn(w http.ResponseWriter, r *http.Request, status int, id string, waiting pending, problem string) error {
	text := wording(r)
	preselected, known := findPerson(waiting.request.loginHint)
	if who, signedIn := b.signIns.signedIn(r); signedIn && !known {
		preselected = who.person
	}
	shown := page{
		Text: text, Problem: problem, ID: id, CSRF: waiting.csrf, Action: signInPath,
		Client: waiting.request.clientName, ClientID: waiting.request.clientID, ReturnsTo: origin(waiting.request.redirectURI),
		Resources: waiting.request.resources, Scopes: waiting.request.scopes,
	}
	if shown.Client == "" {
		shown.Client = waiting.request.clientID
	}
	if len(shown.Resources) == 0 {
		shown.Resources = []string{b.resources.server}
	}
	for _, p := range people {
		shown.People = append(shown.People, choice{ID: p.id, Name: p.name, About: text.about[p.id], Chosen: p.id == preselected.id})
	}
	return writePage(w, status, shown)
}

// origin is the part of a redirect URI that tells a person where they will end
// up.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// writePage renders the page. Its policy allows nothing but its own style:
// there is no script, it may not be framed, and the Referer, which would name
// the request, stays home. form-action is left open, because browsers apply it
// to the redirect that follows the form, which goes to the client.
func writePage(w http.ResponseWriter, status int, shown page) error {
	shown.Style = signInStyle
	var body bytes.Buffer
	if err := signInTemplate.Execute(&body, shown); err != nil {
		return fmt.Errorf("sign-in page: %w", err)
	}
	sum := sha256.Sum256([]byte(signInStyle))
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; frame-ancestors 'none'; base-uri 'none'")
	header.Set("X-Frame-Options", "DENY")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Language", shown.Text.Lang)
	header.Set("Vary", "Accept-Language")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
	return nil
}
