package auth

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

// mayRegister says why the session may not add a passkey.
func mayRegister(who signedIn) error {
	if who.user.IsSSO {
		return unprocessable(codeValidation, "SSO users cannot register passkeys")
	}
	return mayManagePasskeys(who)
}

// passkeyRegisterOptions answers POST /passkeys/registration/options.
func (m *Module) passkeyRegisterOptions(c echo.Context, who signedIn) error {
	if err := mayRegister(who); err != nil {
		return err
	}
	user, err := passkeyUser(c.Request().Context(), projectOf(c).DB.Auth, who.user)
	if err != nil {
		return databaseError("Database error loading passkeys", err)
	}
	if len(user.credentials) >= m.cfg.WebAuthn.MaxPasskeys {
		return tooManyPasskeys()
	}
	rp, err := m.cfg.WebAuthn.forPasskeys()
	if err != nil {
		return err
	}
	options, session, err := rp.BeginRegistration(user, user.exclusions())
	if err != nil {
		return fmt.Errorf("auth: begin registration of passkey: %w", err)
	}
	return m.beginPasskey(c, store.CeremonyRegistration, who.user.ID, session, options.Response)
}

// passkeyRegister answers POST /passkeys/registration/verify.
func (m *Module) passkeyRegister(c echo.Context, who signedIn) error {
	if err := mayRegister(who); err != nil {
		return err
	}
	answer, session, err := m.readPasskeyAnswer(c, store.CeremonyRegistration, who.user.ID)
	if err != nil {
		return err
	}
	parsed, err := parseRegistration(answer)
	if err != nil {
		return badCredential(err)
	}
	rp, err := m.cfg.WebAuthn.forPasskeys()
	if err != nil {
		return err
	}
	credential, err := rp.CreateCredential(webAuthnUser{User: who.user}, session, parsed)
	if err != nil {
		return credentialFailed(err)
	}
	var passkey *store.Passkey
	ctx := c.Request().Context()
	err = pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) (err error) {
		passkey, err = m.addPasskey(ctx, tx, who.user, credential)
		return err
	})
	if store.Violates(err, "webauthn_credentials_credential_id_key") {
		return unprocessable(codeCredentialExists, "This credential is already registered")
	}
	if err != nil {
		return databaseError("Database error creating passkey", err)
	}
	return httpx.JSON(c, http.StatusOK, struct {
		ID           string    `json:"id"`
		FriendlyName string    `json:"friendly_name,omitempty"`
		CreatedAt    time.Time `json:"created_at"`
	}{passkey.ID, passkey.FriendlyName, passkey.CreatedAt})
}

// addPasskey stores a passkey while there is room, with the user's row locked
// against others who do so.
func (m *Module) addPasskey(ctx context.Context, q db.Queryer, user *store.User, credential *webauthn.Credential) (*store.Passkey, error) {
	if _, err := store.LockUser(ctx, q, user.ID); err != nil {
		return nil, fmt.Errorf("auth: add passkey: %w", err)
	}
	all, err := store.Passkeys(ctx, q, user.ID)
	if err != nil {
		return nil, err
	}
	if len(all) >= m.cfg.WebAuthn.MaxPasskeys {
		return nil, tooManyPasskeys()
	}
	p := store.Passkey{
		FriendlyName: passkeyName(credential.Authenticator.AAGUID), CredentialID: credential.ID, PublicKey: credential.PublicKey,
		AttestationType: credential.AttestationType, AAGUID: credential.Authenticator.AAGUID, SignCount: credential.Authenticator.SignCount,
		BackupEligible: credential.Flags.BackupEligible, BackedUp: credential.Flags.BackupState,
	}
	for _, t := range credential.Transport {
		p.Transports = append(p.Transports, string(t))
	}
	passkey, err := store.InsertPasskey(ctx, q, user.ID, p)
	if err != nil {
		return nil, err
	}
	return passkey, m.audit(ctx, q, user, actionPasskeyCreated, map[string]any{"passkey_id": passkey.ID})
}

func tooManyPasskeys() error {
	return unprocessable(codeTooManyPasskeys, "Maximum number of passkeys reached")
}

// passkeyName is what a new passkey is called: by what keeps it, where that tells.
func passkeyName(aaguid []byte) string {
	if id, err := uuid.FromBytes(aaguid); err == nil {
		if name := authenticatorNames[id.String()]; name != "" {
			return name
		}
	}
	return "Passkey"
}

// authenticatorNames are the common keepers of passkeys by their AAGUIDs, from
// the list at github.com/passkeydeveloper/passkey-authenticator-aaguids.
var authenticatorNames = map[string]string{
	"08987058-cadc-4b81-b6e1-30de50dcbe96": "Windows Hello",
	"0ea242b4-43c4-4a1b-8b17-dd6d0b6baec6": "Keeper",
	"17290f1e-c212-34d0-1423-365d729f09d9": "Thales PIN iOS SDK",
	"2fc0579f-8113-47ea-b116-bb5a8db9202a": "YubiKey 5 Series with NFC",
	"50726f74-6f6e-5061-7373-50726f746f6e": "Proton Pass",
	"531126d6-e717-415c-9320-3d9aa6981239": "Dashlane",
	"53414d53-554e-4700-0000-000000000000": "Samsung Pass",
	"6028b017-b1d4-4c02-b4b3-afcdafc96bb2": "Windows Hello",
	"66a0ccb3-bd6a-191f-ee06-e375c50b9846": "Thales Bio iOS SDK",
	"771b48fd-d3d4-4f74-9232-fc157ab0507a": "Edge on Mac",
	"8836336a-f590-0921-301d-46427531eee6": "Thales Bio Android SDK",
	"891494da-2c90-4d31-a9cd-4eab0aed1309": "Sésame",
	"9ddd1817-af5a-4672-a2b9-3e3dd95000a9": "Windows Hello",
	"adce0002-35bc-c60a-648b-0b25f1f05503": "Chrome on Mac",
	"b5397666-4885-aa6b-cebf-e52262a439a2": "Chromium Browser",
	"b84e4048-15dc-4dd0-8640-f4f60813c8af": "NordPass",
	"bada5566-a7aa-401f-bd96-45619a55120d": "1Password",
	"cb69481e-8ff7-4039-93ec-0a2729a154a8": "YubiKey 5 Series",
	"d548826e-79b4-db40-a3d8-11116f7e8349": "Bitwarden",
	"dd4ec289-e01d-41c9-bb89-70fa845d4bf2": "iCloud Keychain (Managed)",
	"ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4": "Google Password Manager",
	"ee882879-721c-4913-9775-3dfcce97072a": "YubiKey 5 Series",
	"f3809540-7f14-49c1-a8b3-8f813b225541": "Enpass",
	"fa2b99dc-9e39-4257-8f92-4a30d23c4118": "YubiKey 5 Series with NFC",
	"fbfc3007-154e-4ecc-8c0b-6e020557d7bd": "Apple Passwords",
	"fdb141b2-5d84-443e-8a35-4698c205a502": "KeePassXC",
}
