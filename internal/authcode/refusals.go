package authcode

import (
	"net/http"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Reasons: the closed list of words that logs, metrics and audit records get,
// and the key of the sentence people read.
const (
	reasonDisabled     = "signin_not_configured"
	reasonMetadata     = "authorization_server_unavailable"
	reasonNoPKCE       = "authorization_server_without_s256"
	reasonEndpoints    = "authorization_server_endpoints"
	reasonClientAuth   = "client_authentication_unsupported"
	reasonCookieSize   = "signin_cookie_too_large"
	reasonMethod       = "method_not_allowed"
	reasonParameters   = "callback_parameters"
	reasonNoAttempt    = "signin_unknown"
	reasonLate         = "signin_expired"
	reasonReplayed     = "signin_replayed"
	reasonIssuer       = "issuer_mismatch"
	reasonDenied       = "access_denied"
	reasonASBusy       = "authorization_server_busy"
	reasonASRefused    = "authorization_server_refused"
	reasonASConfig     = "authorization_server_rejects_client"
	reasonCodeRefused  = "code_refused"
	reasonTokenAnswer  = "token_response_malformed"
	reasonNonce        = "nonce_mismatch"
	reasonTokenRefused = "token_not_accepted"
	reasonScopes       = "required_scopes_not_granted"
	reasonVerifier     = "verifier_unavailable"

	reasonCrossSite     = "cross_site_request"
	reasonContentType   = "content_type"
	reasonBodyTooLarge  = "request_too_large"
	reasonBody          = "malformed_request"
	reasonGrantType     = "unsupported_grant_type"
	reasonRateLimited   = "rate_limited"
	reasonRefreshToken  = "refresh_token_refused"
	reasonRefreshScope  = "refresh_scope_refused"
	reasonRefreshTarget = "refresh_target_refused"
)

// outageRetry is the Retry-After of an answer that blames another system.
const outageRetry = 5 * time.Second

// verdict is what one reason means to the outside: the status, the error code
// of the body and the sentence, in the page's two languages.
type verdict struct {
	status int
	code   string
	en, es string
}

// verdicts has a row per reason. Sentences say what happened and what to do
// next, and hold nothing that came with a request.
var verdicts = map[string]verdict{
	reasonDisabled: {
		http.StatusServiceUnavailable, oauth.CodeTemporarilyUnavailable,
		"Sign-in through this server is not configured; the operator has to set OAUTH_CLIENT_ID.",
		"El inicio de sesión a través de este servidor no está configurado; quien lo opera debe definir OAUTH_CLIENT_ID.",
	},
	reasonMetadata: {
		http.StatusServiceUnavailable, oauth.CodeTemporarilyUnavailable,
		"The authorization server cannot be reached right now; try again in a moment.",
		"No se puede contactar con el servidor de autorización ahora mismo; vuelve a intentarlo en unos instantes.",
	},
	reasonNoPKCE: {
		http.StatusBadGateway, oauth.CodeServerError,
		"The authorization server does not offer PKCE with S256, so signing in would not be safe; the operator has to enable it there.",
		"El servidor de autorización no ofrece PKCE con S256, así que iniciar sesión no sería seguro; quien lo opera debe activarlo.",
	},
	reasonEndpoints: {
		http.StatusBadGateway, oauth.CodeServerError,
		"The authorization server does not publish usable sign-in endpoints; the operator has to check its metadata.",
		"El servidor de autorización no publica direcciones válidas para iniciar sesión; quien lo opera debe revisar sus metadatos.",
	},
	reasonClientAuth: {
		http.StatusBadGateway, oauth.CodeServerError,
		"The authorization server takes neither client_secret_basic nor client_secret_post; the operator has to enable one for this client.",
		"El servidor de autorización no acepta client_secret_basic ni client_secret_post; quien lo opera debe activar uno para este cliente.",
	},
	reasonCookieSize: {
		http.StatusBadGateway, oauth.CodeServerError,
		"The authorization server's issuer is too long for a cookie; the operator has to check its metadata.",
		"El identificador del servidor de autorización es demasiado largo para una cookie; quien lo opera debe revisar sus metadatos.",
	},
	reasonMethod: {
		http.StatusMethodNotAllowed, oauth.CodeMethodNotAllowed,
		"This address answers GET only.",
		"Esta dirección solo responde a GET.",
	},
	reasonParameters: {
		http.StatusBadRequest, oauth.CodeInvalidRequest,
		"The answer of the authorization server is incomplete or malformed; start the sign-in again.",
		"La respuesta del servidor de autorización está incompleta o es incorrecta; empieza de nuevo el inicio de sesión.",
	},
	reasonNoAttempt: {
		http.StatusBadRequest, oauth.CodeInvalidRequest,
		"This browser has no such sign-in open. Start again here, in one browser, with cookies allowed and at the server's public address.",
		"Este navegador no tiene abierto ese inicio de sesión. Empieza de nuevo aquí, en un solo navegador, con las cookies permitidas y en la dirección pública del servidor.",
	},
	reasonLate: {
		http.StatusBadRequest, oauth.CodeInvalidRequest,
		"The sign-in took longer than ten minutes; start again.",
		"El inicio de sesión ha tardado más de diez minutos; empieza de nuevo.",
	},
	reasonReplayed: {
		http.StatusBadRequest, oauth.CodeInvalidRequest,
		"This sign-in was already finished once; start again for another token.",
		"Este inicio de sesión ya se completó una vez; empieza de nuevo para obtener otro token.",
	},
	reasonIssuer: {
		http.StatusBadRequest, oauth.CodeInvalidRequest,
		"The answer did not come from the authorization server that was asked, so nothing of it was used; start again, and tell the operator if it goes on.",
		"La respuesta no viene del servidor de autorización al que se preguntó, así que no se ha usado nada de ella; empieza de nuevo y avisa a quien lo opera si continúa.",
	},
	reasonDenied: {
		http.StatusForbidden, oauth.CodeAccessDenied,
		"Access was not granted: the sign-in was cancelled, or the authorization server does not allow it for this account.",
		"No se ha concedido el acceso: se canceló el inicio de sesión o el servidor de autorización no lo permite para esta cuenta.",
	},
	reasonASBusy: {
		http.StatusServiceUnavailable, oauth.CodeTemporarilyUnavailable,
		"The authorization server is not working properly right now; try again in a moment.",
		"El servidor de autorización no funciona correctamente ahora mismo; vuelve a intentarlo en unos instantes.",
	},
	reasonASRefused: {
		http.StatusBadGateway, oauth.CodeServerError,
		"The authorization server refused the request.",
		"El servidor de autorización rechazó la petición.",
	},
	reasonASConfig: {
		http.StatusBadGateway, oauth.CodeServerError,
		"The authorization server does not accept this server's registration, scopes or resource; the operator has to compare the two configurations.",
		"El servidor de autorización no acepta el registro, los permisos o el recurso de este servidor; quien lo opera debe comparar ambas configuraciones.",
	},
	reasonCodeRefused: {
		http.StatusBadRequest, oauth.CodeInvalidGrant,
		"The authorization server no longer accepts this sign-in's code; start again.",
		"El servidor de autorización ya no acepta el código de este inicio de sesión; empieza de nuevo.",
	},
	reasonTokenAnswer: {
		http.StatusBadGateway, oauth.CodeServerError,
		"The authorization server's token answer could not be used; the operator has to check what it issues.",
		"La respuesta del servidor de autorización con el token no se puede usar; quien lo opera debe revisar qué emite.",
	},
	reasonNonce: {
		http.StatusBadGateway, oauth.CodeServerError,
		"The identity token does not belong to this sign-in, so nothing of the answer was used; start again.",
		"El token de identidad no corresponde a este inicio de sesión, así que no se ha usado nada de la respuesta; empieza de nuevo.",
	},
	reasonTokenRefused: {
		http.StatusBadGateway, oauth.CodeServerError,
		"The authorization server issued a token that this server does not accept; the operator has to compare issuer, audience and signing algorithm.",
		"El servidor de autorización emitió un token que este servidor no acepta; quien lo opera debe comparar emisor, audiencia y algoritmo de firma.",
	},
	reasonScopes: {
		http.StatusForbidden, oauth.CodeInsufficientScope,
		"The authorization server did not grant the scopes that this server needs; ask for access, then start again.",
		"El servidor de autorización no ha concedido los permisos que este servidor necesita; solicita acceso y empieza de nuevo.",
	},
	reasonVerifier: {
		http.StatusServiceUnavailable, oauth.CodeTemporarilyUnavailable,
		"The token cannot be checked right now, because the identity provider's keys are out of reach; try again in a moment.",
		"El token no se puede comprobar ahora mismo porque las claves del proveedor de identidad no están disponibles; vuelve a intentarlo en unos instantes.",
	},
	reasonCrossSite: {
		status: http.StatusForbidden, code: oauth.CodeForbidden,
		en: "Requests from other web sites are refused here.",
	},
	reasonContentType: {
		status: http.StatusBadRequest, code: oauth.CodeInvalidRequest,
		en: "Send refresh_token in the body, as application/json or application/x-www-form-urlencoded.",
	},
	reasonBodyTooLarge: {
		status: http.StatusRequestEntityTooLarge, code: oauth.CodeRequestTooLarge,
		en: "The body is larger than 16 KiB.",
	},
	reasonBody: {
		status: http.StatusBadRequest, code: oauth.CodeInvalidRequest,
		en: "The body needs exactly one refresh_token, a non-empty text of printable characters.",
	},
	reasonGrantType: {
		status: http.StatusBadRequest, code: codeUnsupportedGrantType,
		en: "Only the grant_type refresh_token is offered here.",
	},
	reasonRateLimited: {
		status: http.StatusTooManyRequests, code: oauth.CodeTooManyRequests,
		en: "Too many refresh requests; wait for the time in Retry-After.",
	},
	reasonRefreshToken: {
		status: http.StatusBadRequest, code: oauth.CodeInvalidGrant,
		en: "The refresh token is invalid, expired, revoked or already used; sign in again.",
	},
	reasonRefreshScope: {
		status: http.StatusBadRequest, code: codeInvalidScope,
		en: "The authorization server no longer grants the scopes of this refresh token; sign in again.",
	},
	reasonRefreshTarget: {
		status: http.StatusBadRequest, code: codeInvalidTarget,
		en: "The refresh token was not issued for this resource; sign in again.",
	},
}

// refuse returns the refusal of reason, with cause for the log only.
func refuse(reason string, cause error) *oauth.Refusal {
	v := verdicts[reason]
	refusal := &oauth.Refusal{Status: v.status, Code: v.code, Description: v.en, Reason: reason, Err: cause}
	if v.status == http.StatusServiceUnavailable && reason != reasonDisabled {
		refusal.RetryAfter = outageRetry
	}
	return refusal
}

// Error codes of authorization servers: RFC 6749 sections 4.1.2.1 and 5.2, RFC
// 8707 section 2 and OpenID Connect Core section 3.1.2.6. Only these are ever
// recognised; any other text is "refused".
const (
	codeInvalidClient            = "invalid_client"
	codeInvalidScope             = "invalid_scope"
	codeInvalidTarget            = "invalid_target"
	codeUnauthorizedClient       = "unauthorized_client"
	codeUnsupportedGrantType     = "unsupported_grant_type"
	codeUnsupportedResponseType  = "unsupported_response_type"
	codeLoginRequired            = "login_required"
	codeConsentRequired          = "consent_required"
	codeInteractionRequired      = "interaction_required"
	codeAccountSelectionRequired = "account_selection_required"
)

// callbackReasons says what an error code in the callback means to the person
// in front of the browser.
var callbackReasons = map[string]string{
	oauth.CodeAccessDenied:           reasonDenied,
	codeLoginRequired:                reasonDenied,
	codeConsentRequired:              reasonDenied,
	codeInteractionRequired:          reasonDenied,
	codeAccountSelectionRequired:     reasonDenied,
	oauth.CodeServerError:            reasonASBusy,
	oauth.CodeTemporarilyUnavailable: reasonASBusy,
	oauth.CodeInvalidRequest:         reasonASConfig,
	codeUnauthorizedClient:           reasonASConfig,
	codeUnsupportedResponseType:      reasonASConfig,
	codeInvalidScope:                 reasonASConfig,
	codeInvalidTarget:                reasonASConfig,
}

// codeReasons says what an error code of the token endpoint means when a code
// was sent there.
var codeReasons = map[string]string{
	oauth.CodeInvalidGrant:           reasonCodeRefused,
	oauth.CodeAccessDenied:           reasonDenied,
	oauth.CodeServerError:            reasonASBusy,
	oauth.CodeTemporarilyUnavailable: reasonASBusy,
	oauth.CodeInvalidRequest:         reasonASConfig,
	codeInvalidClient:                reasonASConfig,
	codeUnauthorizedClient:           reasonASConfig,
	codeUnsupportedGrantType:         reasonASConfig,
	codeInvalidScope:                 reasonASConfig,
	codeInvalidTarget:                reasonASConfig,
}

// refreshReasons says what an error code of the token endpoint means when a
// refresh token was sent there. What is the caller's to mend keeps its RFC 6749
// code; invalid_client and its like are this server's own fault and are not
// passed on as if they were the caller's.
var refreshReasons = map[string]string{
	oauth.CodeInvalidGrant:           reasonRefreshToken,
	oauth.CodeAccessDenied:           reasonDenied,
	oauth.CodeServerError:            reasonASBusy,
	oauth.CodeTemporarilyUnavailable: reasonASBusy,
	oauth.CodeInvalidRequest:         reasonASConfig,
	codeInvalidClient:                reasonASConfig,
	codeUnauthorizedClient:           reasonASConfig,
	codeUnsupportedGrantType:         reasonASConfig,
	codeInvalidScope:                 reasonRefreshScope,
	codeInvalidTarget:                reasonRefreshTarget,
}
