package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
)

// The two ceremonies of WebAuthn, as auth-js names them.
const (
	ceremonyCreate  = "create"
	ceremonyRequest = "request"
)

// webAuthnChallenge is what the browser is to be asked for.
type webAuthnChallenge struct {
	Type              string `json:"type"`
	CredentialOptions any    `json:"credential_options"`
}

// webAuthnAnswer is what the browser said.
type webAuthnAnswer struct {
	Type               string          `json:"type"`
	CredentialResponse json.RawMessage `json:"credential_response"`
}

// check refuses answers that cannot be one for the factor. A factor is created
// once: else a key made for the occasion would prove a factor that has another.
func (a *webAuthnAnswer) check(factor *store.Factor) error {
	switch {
	case a == nil:
		return invalid("WebAuthn config required")
	case a.Type != ceremonyCreate && a.Type != ceremonyRequest:
		return invalid("WebAuthn type must be create or request")
	case len(a.CredentialResponse) == 0:
		return invalid("credential_response required")
	case (a.Type == ceremonyCreate) == factor.Verified():
		return invalid("WebAuthn type must be create for an unverified factor and request for a verified one")
	}
	return nil
}

// factorCredential is a WebAuthn factor's credential.
type factorCredential struct {
	factorID string
	webauthn.Credential
}

// factorCredentials returns those of the user's verified WebAuthn factors.
func factorCredentials(ctx context.Context, q db.Queryer, user *store.User) ([]factorCredential, webAuthnUser, error) {
	stored, err := store.FactorCredentials(ctx, q, user.ID)
	if err != nil {
		return nil, webAuthnUser{}, err
	}
	all, view := []factorCredential{}, webAuthnUser{User: user}
	for id, data := range stored {
		credential := factorCredential{factorID: id}
		if err := json.Unmarshal(data, &credential.Credential); err != nil {
			return nil, view, fmt.Errorf("auth: WebAuthn credential of factor %s: %w", id, err)
		}
		all, view.credentials = append(all, credential), append(view.credentials, credential.Credential)
	}
	return all, view, nil
}

// challengeWebAuthn asks for a new credential where the factor has none yet, else
// for a proof of one that a factor of the user's has.
func (m *Module) challengeWebAuthn(c echo.Context, who signedIn, factor *store.Factor) error {
	rp, err := m.cfg.WebAuthn.forFactors()
	if err != nil {
		return err
	}
	ctx, pool := c.Request().Context(), projectOf(c).DB.Auth
	_, user, err := factorCredentials(ctx, pool, who.user)
	if err != nil {
		return err
	}
	options, session := &webAuthnChallenge{}, &webauthn.SessionData{}
	if factor.Verified() {
		if len(user.credentials) == 0 { // a row that was written by hand
			return unprocessable(codeMFAFailed, "The factor has no credential")
		}
		options.Type = ceremonyRequest
		options.CredentialOptions, session, err = rp.BeginLogin(user)
	} else {
		options.Type = ceremonyCreate
		options.CredentialOptions, session, err = rp.BeginRegistration(user, user.exclusions())
	}
	if err != nil {
		return fmt.Errorf("auth: begin WebAuthn: %w", err)
	}
	ceremony, err := json.Marshal(session)
	if err != nil {
		return fmt.Errorf("auth: encode WebAuthn challenge: %w", err)
	}
	var challenge *store.Challenge
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
		challenge, err = m.newChallenge(ctx, tx, who.user, factor, store.NewChallenge{IP: m.factorAddress(c.Request()), Ceremony: ceremony})
		return err
	})
	return m.answerChallenge(c, factor, challenge, options, err)
}

// proveWebAuthn checks an authenticator's answer. The challenge is deleted with it.
func (m *Module) proveWebAuthn(ctx context.Context, q db.Queryer, try *attempt) (proof, error) {
	rp, err := m.cfg.WebAuthn.forFactors()
	if err != nil {
		return nil, err
	}
	session, err := decodeCeremony(try.challenge.Ceremony)
	if err != nil {
		return nil, err
	}
	credentials, view, err := factorCredentials(ctx, q, try.who.user)
	if err != nil {
		return nil, err
	}
	a := try.req.WebAuthn
	use := store.CredentialUse{FactorID: try.factor.ID, Create: a.Type == ceremonyCreate}
	var credential *webauthn.Credential
	if use.Create {
		credential, err = registerCredential(rp, view, session, a.CredentialResponse)
	} else {
		credential, err = m.checkCredential(ctx, rp, view, session, a.CredentialResponse)
	}
	if err != nil {
		return nil, err
	}
	for _, known := range credentials {
		if bytes.Equal(known.ID, credential.ID) {
			if use.Create {
				return nil, unprocessable(codeCredentialExists, "This credential is already registered")
			}
			use.FactorID, try.proven = known.factorID, known.factorID
		}
	}
	if use.Credential, err = json.Marshal(credential); err != nil {
		return nil, fmt.Errorf("auth: encode WebAuthn credential: %w", err)
	}
	if id, err := uuid.FromBytes(credential.Authenticator.AAGUID); err == nil {
		use.AAGUID = id.String()
	}
	if use.Last, err = lastUse(try); err != nil {
		return nil, err
	}
	return func(ctx context.Context, q db.Queryer) error {
		there, err := store.DeleteChallenge(ctx, q, try.challenge.ID)
		if err == nil && there {
			there, err = store.UseCredential(ctx, q, use)
		}
		if err == nil && !there {
			return challengeMismatch()
		}
		return err
	}, nil
}

// lastUse is what is kept of a factor's last use, in GoTrue's form.
func lastUse(try *attempt) ([]byte, error) {
	challenge, a := try.challenge, try.req.WebAuthn
	text, err := json.Marshal(map[string]any{
		"challenge": map[string]any{
			"challenge_id": challenge.ID, "factor_id": try.factor.ID, "created_at": challenge.CreatedAt.UTC().Format(time.RFC3339Nano),
			"ip_address": challenge.IP, "web_authn_session_data": challenge.Ceremony,
		},
		"type": a.Type, "credential_response": a.CredentialResponse,
	})
	if err != nil {
		return nil, fmt.Errorf("auth: encode WebAuthn answer: %w", err)
	}
	return text, nil
}

// registerCredential checks the making of a credential.
func registerCredential(rp *webauthn.WebAuthn, user webAuthnUser, session webauthn.SessionData, answer []byte) (*webauthn.Credential, error) {
	parsed, err := parseRegistration(answer)
	if err != nil {
		return nil, invalid("Invalid credential_response").Because(err)
	}
	credential, err := rp.CreateCredential(user, session, parsed)
	if err != nil {
		return nil, webAuthnFailed(err)
	}
	return credential, nil
}

// checkCredential checks the proof of a credential. One whose signatures are
// counted twice was copied, and counts for nothing any more; GoTrue takes it.
func (m *Module) checkCredential(ctx context.Context, rp *webauthn.WebAuthn, user webAuthnUser, session webauthn.SessionData, answer []byte) (*webauthn.Credential, error) {
	parsed, err := parseAssertion(answer)
	if err != nil {
		return nil, invalid("Invalid credential_response").Because(err)
	}
	credential, err := rp.ValidateLogin(user, session, parsed)
	if err != nil {
		return nil, webAuthnFailed(err)
	}
	if credential.Authenticator.CloneWarning {
		m.deps.Log.WarnContext(ctx, "a WebAuthn credential's count of signatures went back: it may have been copied", "user_id", user.ID)
		return nil, webAuthnFailed(nil)
	}
	return credential, nil
}

func webAuthnFailed(err error) *apierr.Error {
	return unprocessable(codeMFAFailed, "Invalid WebAuthn response").Because(err)
}
