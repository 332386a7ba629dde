package auth

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/madbase/madbase/modules/auth/password"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

// GoTrue's error codes, as far as this module has their cause.
const (
	codeAnonymousDisabled   = "anonymous_provider_disabled"
	codeBadCodeVerifier     = "bad_code_verifier"
	codeBadJSON             = "bad_json"
	codeBadJWT              = "bad_jwt"
	codeBadOAuthCallback    = "bad_oauth_callback"
	codeBadOAuthState       = "bad_oauth_state"
	codeCeremonyExpired     = "webauthn_challenge_expired"
	codeCeremonyFailed      = "webauthn_verification_failed"
	codeCeremonyNotFound    = "webauthn_challenge_not_found"
	codeChallengeExpired    = "mfa_challenge_expired"
	codeCaptchaFailed       = "captcha_failed"
	codeConflict            = "conflict"
	codeCredentialExists    = "webauthn_credential_exists"
	codeCurrentPassword     = "current_password_invalid"
	codeCurrentPasswordNone = "current_password_required"
	codeCustomNotFound      = "custom_provider_not_found"
	codeEmailConflict       = "email_conflict_identity_not_deletable"
	codeEmailDisabled       = "email_provider_disabled"
	codeEmailExists         = "email_exists"
	codeEmailNotConfirmed   = "email_not_confirmed"
	codeEmailUnauthorized   = "email_address_not_authorized"
	codeFactorExists        = "mfa_verified_factor_exists"
	codeFactorNameConflict  = "mfa_factor_name_conflict"
	codeFactorNotFound      = "mfa_factor_not_found"
	codeFeatureDisabled     = "feature_disabled"
	codeFlowExpired         = "flow_state_expired"
	codeFlowNotFound        = "flow_state_not_found"
	codeFlowUsed            = "flow_state_already_used"
	codeIdentityExists      = "identity_already_exists"
	codeIdentityNotFound    = "identity_not_found"
	codeInsufficientAAL     = "insufficient_aal"
	codeInvalidCredentials  = "invalid_credentials"
	codeInviteNotFound      = "invite_not_found"
	codeLinkingDisabled     = "manual_linking_disabled"
	codeMFAAddress          = "mfa_ip_address_mismatch"
	codeMFAFailed           = "mfa_verification_failed"
	codeMFARejected         = "mfa_verification_rejected"
	codeNoAuthorization     = "no_authorization"
	codeNoOAuthClient       = "oauth_client_not_found"
	codeNoOAuthConsent      = "oauth_consent_not_found"
	codeNoOAuthRequest      = "oauth_authorization_not_found"
	codeNotAdmin            = "not_admin"
	codeOAuthRegistration   = "oauth_dynamic_client_registration_disabled"
	codeOAuthStateExpired   = "oauth_client_state_expired"
	codeOAuthStateInvalid   = "oauth_invalid_state"
	codeOAuthStateNotFound  = "oauth_client_state_not_found"
	codeOAuthUnsupported    = "oauth_provider_not_supported"
	codeOTPDisabled         = "otp_disabled"
	codeOTPExpired          = "otp_expired"
	codeOverCustomQuota     = "over_custom_provider_quota"
	codeOverEmailRate       = "over_email_send_rate_limit"
	codeOverRequestRate     = "over_request_rate_limit"
	codeOverSMSRate         = "over_sms_send_rate_limit"
	codePasskeyDisabled     = "passkey_disabled"
	codePhoneDisabled       = "phone_provider_disabled"
	codePhoneEnrollOff      = "mfa_phone_enroll_not_enabled"
	codePhoneExists         = "phone_exists"
	codePhoneNotConfirmed   = "phone_not_confirmed"
	codePhoneVerifyOff      = "mfa_phone_verify_not_enabled"
	codeProviderDisabled    = "provider_disabled"
	codeProviderEmail       = "provider_email_needs_verification"
	codeReauthInvalid       = "reauthentication_not_valid"
	codeReauthNeeded        = "reauthentication_needed"
	codeRefreshNotFound     = "refresh_token_not_found"
	codeRefreshUsed         = "refresh_token_already_used"
	codeRequestTimeout      = "request_timeout"
	codeSamePassword        = "same_password"
	codeSAMLDisabled        = "saml_provider_disabled"
	codeSAMLEntityMismatch  = "saml_entity_id_mismatch"
	codeSAMLIdPExists       = "saml_idp_already_exists"
	codeSAMLIdPNotFound     = "saml_idp_not_found"
	codeSAMLMetadataFetch   = "saml_metadata_fetch_failed"
	codeSAMLNoEmail         = "saml_assertion_no_email"
	codeSAMLNoUserID        = "saml_assertion_no_user_id"
	codeSAMLRelayExpired    = "saml_relay_state_expired"
	codeSAMLRelayNotFound   = "saml_relay_state_not_found"
	codeSessionExpired      = "session_expired"
	codeSessionNotFound     = "session_not_found"
	codeSignupDisabled      = "signup_disabled"
	codeSMSFailed           = "sms_send_failed"
	codeSSODomainExists     = "sso_domain_already_exists"
	codeSSOProviderDisabled = "sso_provider_disabled"
	codeSSOProviderNotFound = "sso_provider_not_found"
	codeSingleIdentity      = "single_identity_not_deletable"
	codeTOTPEnrollOff       = "mfa_totp_enroll_not_enabled"
	codeTOTPVerifyOff       = "mfa_totp_verify_not_enabled"
	codeTooLarge            = "request_entity_too_large"
	codeTooManyFactors      = "too_many_enrolled_mfa_factors"
	codeTooManyPasskeys     = "too_many_passkeys"
	codeUnexpected          = "unexpected_failure"
	codeUnknown             = "unknown"
	codeUserBanned          = "user_banned"
	codeUserExists          = "user_already_exists"
	codeUserNotFound        = "user_not_found"
	codeUserSSO             = "user_sso_managed"
	codeValidation          = "validation_failed"
	codeWeakPassword        = "weak_password"
	codeWeb3Chain           = "web3_unsupported_chain"
	codeWeb3Disabled        = "web3_provider_disabled"
	codeWebAuthnEnrollOff   = "mfa_webauthn_enroll_not_enabled"
	codeWebAuthnVerifyOff   = "mfa_webauthn_verify_not_enabled"
)

func badRequest(code, message string) *apierr.Error {
	return apierr.New(http.StatusBadRequest, code, message)
}

func forbidden(code, message string) *apierr.Error {
	return apierr.New(http.StatusForbidden, code, message)
}

func unprocessable(code, message string) *apierr.Error {
	return apierr.New(http.StatusUnprocessableEntity, code, message)
}

func invalid(message string) *apierr.Error { return badRequest(codeValidation, message) }

func emailExists() *apierr.Error {
	return unprocessable(codeEmailExists, "A user with this email address has already been registered")
}

func phoneExists() *apierr.Error {
	return unprocessable(codePhoneExists, "A user with this phone number has already been registered")
}

func weakPassword(w *password.Weakness) *apierr.Error {
	return unprocessable(codeWeakPassword, w.Message).WithField(codeWeakPassword, map[string]any{"reasons": w.Reasons})
}

// oauthError is an error of the OAuth server's, in OAuth's own form {error,
// error_description} (RFC 6749, section 5.2). GoTrue gives them all status 400.
func oauthError(code, description string) *apierr.Error {
	return badRequest(code, description).WithField(fieldOAuth, code)
}

// tooMany asks the caller to come again after a while.
func tooMany(after time.Duration) *apierr.Error {
	return later(after, codeOverRequestRate, "Request rate limit reached")
}

// later is a 429 that says when to come again.
func later(after time.Duration, code, message string) *apierr.Error {
	seconds := int64((after + time.Second - 1) / time.Second)
	return apierr.New(http.StatusTooManyRequests, code, message).
		WithHeader("Retry-After", strconv.FormatInt(max(seconds, 1), 10))
}

// passwordError gives the reasons of package password their public face.
func passwordError(err error) error {
	switch {
	case errors.Is(err, password.ErrBusy):
		return tooMany(2 * time.Second).Because(err)
	case errors.Is(err, password.ErrTooLong):
		return invalid("Password cannot be longer than " + strconv.Itoa(password.MaxLength) + " characters")
	}
	return err
}

// databaseError says what may be said of a failed statement. doing is public:
// the app's own triggers on auth.users fail here, and its developers look for it.
func databaseError(doing string, err error) error {
	if _, ok := errors.AsType[*apierr.Error](err); ok {
		return err
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	inFunction := strings.Contains(pg.Where, "function ")
	if strings.HasPrefix(pg.Code, "22") && !inFunction { // a data exception of the statement's own: what was sent cannot be stored
		return invalid("The request has data that cannot be stored").Because(err)
	}
	e := apierr.New(http.StatusInternalServerError, codeUnexpected, doing).Because(err)
	switch {
	case pg.Code == "P0001": // RAISE EXCEPTION in the app's own function
		return e.WithField(fieldRaised, raised{pg.Code, pg.Message, pg.Hint, pg.Detail})
	case strings.HasPrefix(pg.Code, "PT"): // PTxyz in the app's own function asks for the status xyz
		if status, err := strconv.Atoi(pg.Code[2:]); err == nil && status >= 400 && status < 600 {
			e.Status = status
			return e.WithField(fieldRaised, raised{pg.Code, pg.Message, pg.Hint, pg.Detail})
		}
	}
	return e
}

// fieldOAuth holds OAuth's name of an error, in which form it is written then.
const fieldOAuth = "oauth_error"

// Errors of OAuth's (RFC 6749, sections 4.1.2.1 and 5.2).
const (
	oauthAccessDenied     = "access_denied"
	oauthInvalidClient    = "invalid_client"
	oauthInvalidGrant     = "invalid_grant"
	oauthInvalidRequest   = "invalid_request"
	oauthServerFailed     = "server_error"
	oauthUnsupportedGrant = "unsupported_grant_type"
)

// fieldRaised holds what the app's own function raised; the old error shape shows it instead of ours.
const fieldRaised = "raised"

type raised struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

// Headers of GoTrue's errors.
const (
	headerAPIVersion = "X-Supabase-Api-Version"
	headerErrorCode  = "X-Sb-Error-Code"
	versionCodes     = "2024-01-01"
)

// callersMistake is e, unless a statement of the module's own has failed by what
// the caller sent and nobody on the way has said so: then it is theirs.
func callersMistake(e *apierr.Error) *apierr.Error {
	pg, ok := errors.AsType[*pgconn.PgError](e.Unwrap())
	if !ok || e.Status != http.StatusInternalServerError || strings.Contains(pg.Where, "function ") {
		return e
	}
	switch {
	case strings.HasPrefix(pg.Code, "22"): // data exception
		return invalid("The request has data that cannot be stored").Because(e)
	case pg.Code == "23505": // the same was stored by another request at the same time
		return apierr.New(http.StatusConflict, codeConflict, "Another request has just stored the same").Because(e)
	}
	return e
}

// shape writes an error in one of GoTrue's two dialects: {code,message} for
// clients that name API version 2024-01-01 or later, else {code,error_code,msg}.
func shape(r *http.Request, e *apierr.Error, h http.Header) (int, any) {
	e = callersMistake(e)
	code := e.Code
	switch {
	case code == "" && e.Status == http.StatusNotFound:
		return e.Status, "404 page not found\n"
	case code == "" && e.Status == http.StatusMethodNotAllowed:
		return e.Status, nil
	case code == "" && e.Status < http.StatusInternalServerError:
		code = codeUnknown
	case code == "" || code == "internal_error":
		code = codeUnexpected
	}
	oauth, isOAuth := e.Fields[fieldOAuth]
	if isOAuth && oauth == code {
		return e.Status, map[string]any{"error": code, "error_description": e.Message}
	}
	h.Set(headerErrorCode, code)
	if wantsCodes(r) {
		h.Set(headerAPIVersion, versionCodes)
		body := map[string]any{"code": code, "message": e.Message}
		if weak := e.Fields[codeWeakPassword]; weak != nil {
			body[codeWeakPassword] = weak
			h.Del(headerErrorCode)
		}
		return e.Status, body
	}
	if raised := e.Fields[fieldRaised]; raised != nil {
		return e.Status, raised
	}
	body := map[string]any{"code": e.Status, "error_code": code, "msg": e.Message}
	if e.Status >= http.StatusInternalServerError {
		body["error_id"] = httpx.RequestID(r.Context())
	}
	if isOAuth { // GoTrue's own form where it has one, but with OAuth's members for OAuth's clients
		body["error"], body["error_description"] = oauth, e.Message
	}
	if weak := e.Fields[codeWeakPassword]; weak != nil {
		body[codeWeakPassword] = weak
	}
	return e.Status, body
}

// wantsCodes reports whether the client's API version is 2024-01-01 or later.
func wantsCodes(r *http.Request) bool {
	asked, err := time.Parse(time.DateOnly, r.Header.Get(headerAPIVersion))
	return err == nil && asked.Format(time.DateOnly) >= versionCodes
}
