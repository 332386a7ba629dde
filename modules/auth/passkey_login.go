package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
)

// passkeyLoginOptions answers POST /passkeys/authentication/options: a challenge for
// whoever has a passkey, without asking for whom.
func (m *Module) passkeyLoginOptions(c echo.Context) error {
	if err := m.allow(c.Request(), "passkey", m.cfg.WebAuthn.RateLimit, 5*time.Minute); err != nil {
		return err
	}
	rp, err := m.cfg.WebAuthn.forPasskeys()
	if err != nil {
		return err
	}
	options, session, err := rp.BeginDiscoverableLogin()
	if err != nil {
		return fmt.Errorf("auth: begin sign-in by passkey: %w", err)
	}
	return m.beginPasskey(c, store.CeremonyAuthentication, "", session, options.Response)
}

// passkeyLogin answers POST /passkeys/authentication/verify: it signs in the user
// whose passkey answered. Unknown users and passkeys are told like wrong ones.
func (m *Module) passkeyLogin(c echo.Context) error {
	answer, session, err := m.readPasskeyAnswer(c, store.CeremonyAuthentication, "")
	if err != nil {
		return err
	}
	ctx, pool := c.Request().Context(), projectOf(c).DB.Auth
	user, credential, err := m.whosePasskey(ctx, pool, session, answer)
	if err != nil {
		return err
	}
	switch {
	case user.Email != "" && user.EmailConfirmedAt == nil:
		return forbidden(codeEmailNotConfirmed, "Email not confirmed")
	case user.Phone != "" && user.PhoneConfirmedAt == nil:
		return forbidden(codePhoneNotConfirmed, "Phone not confirmed")
	case user.Banned(m.now()):
		return forbidden(codeUserBanned, "User is banned")
	}
	var in *issued
	err = m.transact(ctx, func(tx pgx.Tx) error {
		passkey, err := store.UsePasskey(ctx, tx, user.ID, store.Passkey{
			CredentialID: credential.ID, SignCount: credential.Authenticator.SignCount, BackedUp: credential.Flags.BackupState,
		})
		if errors.Is(err, store.ErrNotFound) {
			return credentialFailed(err)
		}
		if err != nil {
			return err
		}
		if err := m.audit(ctx, tx, user, actionLogin, map[string]any{"passkey_id": passkey.ID}); err != nil {
			return err
		}
		in, err = m.startSession(ctx, tx, user, entry{method: methodPasskey}, m.client(c.Request()))
		return err
	})
	if err != nil {
		return databaseError("Database error granting user", err)
	}
	return m.respond(c, in)
}

// whosePasskey checks the answer of a passkey and returns its user. One whose
// signatures are counted twice was copied, and lets no one in; GoTrue takes it.
func (m *Module) whosePasskey(ctx context.Context, q db.Queryer, session webauthn.SessionData, answer []byte) (*store.User, *webauthn.Credential, error) {
	parsed, err := parseAssertion(answer)
	if err != nil {
		return nil, nil, badCredential(err)
	}
	rp, err := m.cfg.WebAuthn.forPasskeys()
	if err != nil {
		return nil, nil, err
	}
	var broken error // what is not the answer's fault
	find := func(_, handle []byte) (webauthn.User, error) {
		id, err := uuid.ParseBytes(handle)
		if err != nil {
			return nil, err
		}
		user, err := store.UserByID(ctx, q, id.String())
		if err != nil {
			if !errors.Is(err, store.ErrNotFound) {
				broken = err
			}
			return nil, err
		}
		view, err := passkeyUser(ctx, q, user)
		broken = err
		return view, err
	}
	found, credential, err := rp.ValidatePasskeyLogin(find, session, parsed)
	if broken != nil {
		return nil, nil, databaseError("Database error loading passkey", broken)
	}
	if err != nil {
		return nil, nil, credentialFailed(err)
	}
	user := found.(webAuthnUser).User
	if credential.Authenticator.CloneWarning {
		m.deps.Log.WarnContext(ctx, "a passkey's count of signatures went back: it may have been copied", "user_id", user.ID)
		return nil, nil, credentialFailed(nil)
	}
	return user, credential, nil
}
