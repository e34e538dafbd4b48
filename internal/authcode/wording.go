package authcode

import (
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/negotiate"
)

// wording is the text of the pages in one language.
type wording struct {
	Lang string

	// The page with the token.
	SignedIn, Lead, SignedInAs, Expires, Scopes  string
	AccessToken, AccessNote                      string
	RefreshToken, RefreshNote                    string
	Show, Hide, Copy                             string
	Shown, Hidden, Copied, CopyFailed            string // spoken by screen readers; "%s" is the name
	NoScript                                     string
	Clients, ClientsLead                         string
	KeepFirst, KeepFirstNote                     string
	CodexNote, VSCodeNote, RefreshName, CurlName string
	PromptDescription                            string
	Privacy                                      string

	// The page of a refusal.
	NotSignedIn, StartAgain, Reason string
}

var wordings = map[string]wording{
	negotiate.English: {
		Lang:         negotiate.English,
		SignedIn:     "You are signed in",
		Lead:         "Copy the access token into an MCP client that cannot sign in by itself.",
		SignedInAs:   "Signed in as",
		Expires:      "Expires",
		Scopes:       "Granted scopes",
		AccessToken:  "Access token",
		AccessNote:   "Whoever has it can act as you until it expires. Do not share it.",
		RefreshToken: "Refresh token",
		RefreshNote:  "It gets new access tokens. Each use may replace it; keep the newest one.",
		Show:         "Show", Hide: "Hide", Copy: "Copy",
		Shown: "%s is shown.", Hidden: "%s is hidden.", Copied: "%s is copied.",
		CopyFailed:        "The browser did not allow copying; show the text and copy it by hand.",
		NoScript:          "Without scripts: open to show",
		Clients:           "Set up your client",
		ClientsLead:       "The commands use a shell variable, so the token stays out of the shell's history.",
		KeepFirst:         "First: put the token into OTUS_TOKEN",
		KeepFirstNote:     "Run this, paste the access token, press Enter. Nothing is shown while pasting.",
		CodexNote:         "Codex reads OTUS_TOKEN each time it starts.",
		VSCodeNote:        "Save as .vscode/mcp.json; VS Code asks for the token and keeps it.",
		RefreshName:       "New tokens from the refresh token (put it into OTUS_REFRESH_TOKEN the same way)",
		CurlName:          "curl",
		PromptDescription: "Access token",
		Privacy:           "This page is not stored anywhere. Close the tab when you are done.",
		NotSignedIn:       "Sign-in did not work",
		StartAgain:        "Start again",
		Reason:            "Reason for the operator",
	},
	negotiate.Spanish: { //nolint:gosec // words about tokens, not tokens
		Lang:         negotiate.Spanish,
		SignedIn:     "Has iniciado sesión",
		Lead:         "Copia el token de acceso en un cliente MCP que no pueda iniciar sesión por sí mismo.",
		SignedInAs:   "Sesión de",
		Expires:      "Caduca",
		Scopes:       "Permisos concedidos",
		AccessToken:  "Token de acceso",
		AccessNote:   "Quien lo tenga puede actuar en tu nombre hasta que caduque. No lo compartas.",
		RefreshToken: "Token de renovación",
		RefreshNote:  "Sirve para obtener nuevos tokens de acceso. Cada uso puede sustituirlo; guarda el más reciente.",
		Show:         "Mostrar", Hide: "Ocultar", Copy: "Copiar",
		Shown: "%s: visible.", Hidden: "%s: oculto.", Copied: "%s: copiado.",
		CopyFailed:        "El navegador no ha permitido copiar; muestra el texto y cópialo a mano.",
		NoScript:          "Sin scripts: abre para mostrar",
		Clients:           "Configura tu cliente",
		ClientsLead:       "Las órdenes usan una variable del intérprete, así el token no queda en su historial.",
		KeepFirst:         "Primero: guarda el token en OTUS_TOKEN",
		KeepFirstNote:     "Ejecuta esto, pega el token de acceso y pulsa Intro. Al pegar no se muestra nada.",
		CodexNote:         "Codex lee OTUS_TOKEN cada vez que arranca.",
		VSCodeNote:        "Guárdalo como .vscode/mcp.json; VS Code pide el token y lo conserva.",
		RefreshName:       "Nuevos tokens con el token de renovación (guárdalo igual en OTUS_REFRESH_TOKEN)",
		CurlName:          "curl",
		PromptDescription: "Token de acceso",
		Privacy:           "Esta página no se guarda en ningún sitio. Cierra la pestaña cuando termines.",
		NotSignedIn:       "No se ha podido iniciar sesión",
		StartAgain:        "Empezar de nuevo",
		Reason:            "Motivo para quien opera el servidor",
	},
}

// snippet is something to paste into a client. It never holds a token.
type snippet struct {
	ID, Name, Note, Text string
}

// snippets returns what to paste where. serverURL has only characters that
// shells and JSON leave alone (see checkServerURL).
func snippets(serverURL string, text wording, canRefresh bool) []snippet {
	at := strings.NewReplacer("{server}", serverURL, "{prompt}", text.PromptDescription)
	all := []snippet{
		{"keep", text.KeepFirst, text.KeepFirstNote, `read -rs OTUS_TOKEN && export OTUS_TOKEN`},
		{"claude", "Claude Code", "", at.Replace(`claude mcp add --transport http otus {server}/mcp --header "Authorization: Bearer $OTUS_TOKEN"`)},
		{"codex", "Codex", text.CodexNote, at.Replace(`codex mcp add otus --url {server}/mcp --bearer-token-env-var OTUS_TOKEN`)},
		{"vscode", "VS Code", text.VSCodeNote, at.Replace(`{
  "inputs": [
    { "type": "promptString", "id": "otus-token", "description": "{prompt}", "password": true }
  ],
  "servers": {
    "otus": {
      "type": "http",
      "url": "{server}/mcp",
      "headers": { "Authorization": "Bearer ${input:otus-token}" }
    }
  }
}`)},
		{"inspector", "MCP Inspector", "", at.Replace(`npx @modelcontextprotocol/inspector --cli --server-url {server}/mcp --transport http --header "Authorization: Bearer $OTUS_TOKEN" --method tools/list`)},
		{"curl", text.CurlName, "", at.Replace(`curl {server}/mcp -H "Authorization: Bearer $OTUS_TOKEN" -H "Content-Type: application/json" -H "Accept: application/json, text/event-stream" -d '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'`)},
	}
	if canRefresh {
		all = append(all, snippet{"renew", text.RefreshName, "", at.Replace(`curl {server}` + refreshPath + ` --data-urlencode "refresh_token=$OTUS_REFRESH_TOKEN"`)})
	}
	return all
}
