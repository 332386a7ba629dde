package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/modules/auth/token"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

// maxPasskeyName is the longest name of a passkey in bytes, GoTrue's.
const maxPasskeyName = 120

// passkeys makes a route of one that is there only where passkeys are on.
func (m *Module) passkeys(h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !m.cfg.WebAuthn.PasskeysEnabled {
			return apierr.New(http.StatusNotFound, codePasskeyDisabled, "Passkeys are disabled")
		}
		return h(c)
	}
}

// mayManagePasskeys says why the session may not add or remove passkeys: they are
// a way in, so whoever has a second factor must have used it.
func mayManagePasskeys(who signedIn) error {
	if who.user.HasSecondFactor() && who.session.AAL != token.AAL2 {
		return forbidden(codeInsufficientAAL, "AAL2 session is required to manage passkeys when MFA is enabled")
	}
	return nil
}

// passkeyUser is the user with their passkeys, for go-webauthn.
func passkeyUser(ctx context.Context, q db.Queryer, user *store.User) (webAuthnUser, error) {
	stored, err := store.Passkeys(ctx, q, user.ID)
	if err != nil {
		return webAuthnUser{}, err
	}
	view := webAuthnUser{User: user}
	for _, p := range stored {
		credential := webauthn.Credential{
			ID: p.CredentialID, PublicKey: p.PublicKey, AttestationType: p.AttestationType,
			Flags:         webauthn.CredentialFlags{BackupEligible: p.BackupEligible, BackupState: p.BackedUp},
			Authenticator: webauthn.Authenticator{AAGUID: p.AAGUID, SignCount: p.SignCount},
		}
		for _, t := range p.Transports {
			credential.Transport = append(credential.Transport, protocol.AuthenticatorTransport(t))
		}
		view.credentials = append(view.credentials, credential)
	}
	return view, nil
}

// passkeyOptions is the answer that begins a ceremony.
type passkeyOptions struct {
	ChallengeID string `json:"challenge_id"`
	Options     any    `json:"options"`
	ExpiresAt   int64  `json:"expires_at"`
}

// beginPasskey keeps the challenge and answers with what the browser is to be
// asked for. userID is empty when anyone may answer.
func (m *Module) beginPasskey(c echo.Context, purpose, userID string, session *webauthn.SessionData, options any) error {
	data, err := json.Marshal(session)
	if err != nil {
		return fmt.Errorf("auth: encode passkey challenge: %w", err)
	}
	expires := m.now().Add(m.cfg.WebAuthn.ChallengeExpiry)
	id, err := store.InsertCeremony(c.Request().Context(), projectOf(c).DB.Auth, store.Ceremony{UserID: userID, Type: purpose, Data: data, ExpiresAt: expires})
	if err != nil {
		return databaseError("Database error storing challenge", err)
	}
	return httpx.JSON(c, http.StatusOK, passkeyOptions{ChallengeID: id, Options: options, ExpiresAt: expires.Unix()})
}

// readPasskeyAnswer reads the browser's answer, and takes the challenge that it
// is to: whatever comes of it, the challenge was used.
func (m *Module) readPasskeyAnswer(c echo.Context, purpose, userID string) (credential []byte, session webauthn.SessionData, err error) {
	var req struct {
		ChallengeID string          `json:"challenge_id"`
		Credential  json.RawMessage `json:"credential"`
	}
	if err := readBody(c, &req); err != nil {
		return nil, session, err
	}
	id, err := uuid.Parse(req.ChallengeID)
	switch {
	case req.ChallengeID == "":
		return nil, session, invalid("challenge_id is required")
	case len(req.Credential) == 0 || string(req.Credential) == "null":
		return nil, session, invalid("credential is required")
	case err != nil:
		return nil, session, invalid("challenge_id must be a valid UUID")
	}
	ceremony, err := store.TakeCeremony(c.Request().Context(), projectOf(c).DB.Auth, id.String(), userID, purpose)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, session, badRequest(codeCeremonyNotFound, "Challenge not found or already used")
	case err != nil:
		return nil, session, databaseError("Database error consuming challenge", err)
	case m.now().After(ceremony.ExpiresAt):
		return nil, session, badRequest(codeCeremonyExpired, "Challenge has expired")
	}
	session, err = decodeCeremony(ceremony.Data)
	return req.Credential, session, err
}

func badCredential(err error) error {
	return badRequest(codeCeremonyFailed, "Invalid credential response").Because(err)
}

func credentialFailed(err error) error {
	return badRequest(codeCeremonyFailed, "Credential verification failed").Because(err)
}

// passkeyList answers GET /passkeys.
func (m *Module) passkeyList(c echo.Context, who signedIn) error {
	return answerPasskeys(c, who.user.ID)
}

// adminPasskeyList answers GET /admin/users/{user_id}/passkeys.
func (m *Module) adminPasskeyList(c echo.Context, _ admin) error {
	user, err := m.namedUser(c)
	if err != nil {
		return err
	}
	return answerPasskeys(c, user.ID)
}

func answerPasskeys(c echo.Context, userID string) error {
	all, err := store.Passkeys(c.Request().Context(), projectOf(c).DB.Auth, userID)
	if err != nil {
		return databaseError("Database error loading passkeys", err)
	}
	if all == nil {
		all = []store.Passkey{}
	}
	return httpx.JSON(c, http.StatusOK, all)
}

// passkeyRename answers PATCH /passkeys/{passkey_id}.
func (m *Module) passkeyRename(c echo.Context, who signedIn) error {
	var req struct {
		FriendlyName string `json:"friendly_name"`
	}
	id, err := passkeyID(c)
	if err == nil {
		err = readBody(c, &req)
	}
	switch {
	case err != nil:
		return err
	case req.FriendlyName == "":
		return invalid("friendly_name is required")
	case len(req.FriendlyName) > maxPasskeyName:
		return invalid(fmt.Sprintf("friendly_name must be %d characters or less", maxPasskeyName))
	}
	var passkey *store.Passkey
	ctx := c.Request().Context()
	err = pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) (err error) {
		if passkey, err = store.RenamePasskey(ctx, tx, who.user.ID, id, req.FriendlyName); err != nil {
			return err
		}
		return m.audit(ctx, tx, who.user, actionPasskeyUpdated, map[string]any{"passkey_id": id})
	})
	if err != nil {
		return passkeyError("Database error updating passkey", err)
	}
	return httpx.JSON(c, http.StatusOK, passkey)
}

// passkeyDelete answers DELETE /passkeys/{passkey_id}.
func (m *Module) passkeyDelete(c echo.Context, who signedIn) error {
	if err := mayManagePasskeys(who); err != nil {
		return err
	}
	return m.deletePasskey(c, who.user, func(ctx context.Context, q db.Queryer, id string) error {
		return m.audit(ctx, q, who.user, actionPasskeyDeleted, map[string]any{"passkey_id": id})
	})
}

// adminPasskeyDelete answers DELETE /admin/users/{user_id}/passkeys/{passkey_id}.
func (m *Module) adminPasskeyDelete(c echo.Context, by admin) error {
	user, err := m.namedUser(c)
	if err != nil {
		return err
	}
	return m.deletePasskey(c, user, func(ctx context.Context, q db.Queryer, id string) error {
		return m.auditAdmin(ctx, q, by, actionPasskeyDeleted, map[string]any{"user_id": user.ID, "passkey_id": id})
	})
}

func (m *Module) deletePasskey(c echo.Context, user *store.User, note func(context.Context, db.Queryer, string) error) error {
	id, err := passkeyID(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	err = pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) error {
		if _, err := store.DeletePasskey(ctx, tx, user.ID, id); err != nil {
			return err
		}
		return note(ctx, tx, id)
	})
	if err != nil {
		return passkeyError("Database error deleting passkey", err)
	}
	return c.NoContent(http.StatusNoContent)
}

func passkeyID(c echo.Context) (string, error) {
	id, err := uuid.Parse(c.Param("passkey_id"))
	if err != nil {
		return "", noPasskey()
	}
	return id.String(), nil
}

func noPasskey() error { return apierr.New(http.StatusNotFound, codeValidation, "Passkey not found") }

func passkeyError(doing string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return noPasskey()
	}
	return databaseError(doing, err)
}
