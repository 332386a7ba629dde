package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/password"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

type userUpdateRequest struct {
	Email           string         `json:"email"`
	Phone           string         `json:"phone"`
	Channel         string         `json:"channel"`
	Password        *string        `json:"password"`
	CurrentPassword string         `json:"current_password"`
	Data            map[string]any `json:"data"`
	AppMetadata     map[string]any `json:"app_metadata"`
	Nonce           string         `json:"nonce"`
	pkce

	// redirectTo is where links in mails lead.
	redirectTo string
}

// newPassword is the password to set, empty for none.
func (r userUpdateRequest) newPassword() string {
	if r.Password == nil {
		return ""
	}
	return *r.Password
}

// userUpdate answers PUT /user: the user's own address, password and metadata.
func (m *Module) userUpdate(c echo.Context, who signedIn) error {
	if err := m.allow(c.Request(), "user", m.cfg.RateLimitOTP, 5*time.Minute); err != nil {
		return err
	}
	var req userUpdateRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	if req.Email != "" || req.Phone != "" || req.Password != nil { // how the user signs in
		if err := who.inPerson(); err != nil {
			return err
		}
	}
	req.redirectTo = m.redirectTo(c.Request())
	ctx, pool := c.Request().Context(), projectOf(c).DB.Auth
	if err := m.checkUserUpdate(ctx, pool, who, &req); err != nil {
		return err
	}
	var hash string
	if secret := req.newPassword(); secret != "" {
		if err := m.checkPasswordChange(ctx, pool, who, req); err != nil {
			return err
		}
		var err error
		if hash, err = m.hasher.Hash(ctx, secret); err != nil {
			return passwordError(err)
		}
	}
	made, err := m.textPhoneChange(c, who.user, req)
	if err != nil {
		return err
	}
	var user *store.User
	err = m.transact(ctx, func(tx pgx.Tx) (err error) {
		if err := m.applyUserUpdate(ctx, tx, who, req, hash); err != nil {
			return err
		}
		if err := m.keepText(ctx, tx, made); err != nil {
			return err
		}
		user, err = store.UserByID(ctx, tx, who.user.ID)
		return err
	})
	if store.Violates(err, "users_email_partial_key") {
		return emailExists()
	}
	if store.Violates(err, "users_phone_key") {
		return phoneExists()
	}
	if errors.Is(err, store.ErrNotFound) || store.Violates(err, "identities_user_id_fkey") { // the user was deleted in the meantime
		return forbidden(codeUserNotFound, "User from sub claim in JWT does not exist")
	}
	if err != nil {
		return databaseError("Error updating user", err)
	}
	return httpx.JSON(c, http.StatusOK, user)
}

func (m *Module) checkUserUpdate(ctx context.Context, q db.Queryer, who signedIn, req *userUpdateRequest) (err error) {
	if req.Email != "" {
		if req.Email, err = parseEmail(req.Email); err != nil {
			return err
		}
	}
	if req.Phone != "" {
		if req.Phone, err = parsePhone(req.Phone); err != nil {
			return err
		}
		if req.Channel, err = m.parseChannel(req.Channel); err != nil {
			return err
		}
	}
	if req.Password != nil {
		if err := m.checkPassword(ctx, *req.Password); err != nil {
			return err
		}
	}
	if err := req.check(); err != nil {
		return err
	}
	if req.AppMetadata != nil {
		return forbidden(codeNotAdmin, "Updating app_metadata requires admin privileges")
	}
	user, secret := who.user, req.newPassword() != ""
	moving := (req.Email != "" && req.Email != user.Email) || (req.Phone != "" && req.Phone != user.Phone)
	switch {
	case (secret || moving) && who.session.AAL == "aal1" && user.HasSecondFactor():
		return apierr.New(http.StatusUnauthorized, codeInsufficientAAL, "AAL2 session is required to update email or password when MFA is enabled.")
	case user.IsAnonymous && secret && req.Email == "" && req.Phone == "":
		return unprocessable(codeValidation, "Updating password of an anonymous user without an email or phone is not allowed")
	case user.IsSSO && (secret || moving):
		return unprocessable(codeUserSSO, "Updating email, phone, password of a SSO account only possible via SSO")
	}
	if err := m.checkPhoneChange(ctx, q, user, *req); err != nil || req.Email == "" || req.Email == user.Email {
		return err
	}
	_, err = store.UserByAnyEmail(ctx, q, req.Email, user.Audience, user.ID)
	if err == nil {
		return emailExists()
	}
	if !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("auth: update user: %w", err)
	}
	return nil
}

// checkPasswordChange asks for a nonce and the current password, where settings
// do, and refuses the same again.
func (m *Module) checkPasswordChange(ctx context.Context, q db.Queryer, who signedIn, req userUpdateRequest) error {
	user := who.user
	if m.needsNonce(who.session) {
		if err := m.checkNonce(ctx, q, user, req.Nonce); err != nil {
			return err
		}
	}
	if user.PasswordHash == "" {
		return nil
	}
	forgot, err := m.mayForget(ctx, q, who.session)
	if err != nil {
		return err
	}
	if !forgot {
		if req.CurrentPassword == "" {
			return badRequest(codeCurrentPasswordNone, "Current password required when setting new password.")
		}
		err := m.comparePassword(ctx, user, req.CurrentPassword)
		if errors.Is(err, password.ErrMismatch) {
			return badRequest(codeCurrentPassword, "Current password required when setting new password.")
		}
		if err != nil {
			return passwordError(err)
		}
	}
	err = m.comparePassword(ctx, user, req.newPassword())
	if err == nil {
		return unprocessable(codeSamePassword, "New password should be different from the old password.")
	}
	if !errors.Is(err, password.ErrMismatch) {
		return passwordError(err)
	}
	return nil
}

// mayForget reports whether a password may be set without the current one: by
// setting, or because the session began with a code or a link, as a recovery does.
func (m *Module) mayForget(ctx context.Context, q db.Queryer, s *store.Session) (bool, error) {
	if !m.cfg.RequireCurrentPassword {
		return true, nil
	}
	return store.SignedInBy(ctx, q, s.ID, methodOTP, methodMagicLink, methodRecovery)
}

// applyUserUpdate writes what was asked for. A new password ends the user's other
// sessions. A new address holds once it is confirmed, or at once for an anonymous
// user under autoconfirm.
func (m *Module) applyUserUpdate(ctx context.Context, q db.Queryer, who signedIn, req userUpdateRequest, hash string) error {
	user := who.user
	if hash != "" {
		if err := m.changePassword(ctx, q, who, req, hash); err != nil {
			return err
		}
	}
	if req.Data != nil {
		if err := store.MergeUserMetadata(ctx, q, user.ID, req.Data); err != nil {
			return err
		}
	}
	if req.Email != "" && req.Email != user.Email {
		if err := m.askEmailChange(ctx, q, user, req); err != nil {
			return err
		}
	}
	if m.cfg.SMS.Autoconfirm && req.movesPhone(user) {
		if _, err := m.confirmPhone(ctx, q, user, textProof{purpose: textPhoneChange, phone: req.Phone}); err != nil {
			return err
		}
	}
	return m.audit(ctx, q, user, actionUserModified, nil)
}

// changePassword stores a new password and ends the user's other sessions. Of
// several requests with one nonce the first is taken.
func (m *Module) changePassword(ctx context.Context, q db.Queryer, who signedIn, req userUpdateRequest, hash string) error {
	user := who.user
	if m.needsNonce(who.session) {
		if err := m.checkNonce(ctx, q, user, req.Nonce); err != nil {
			return err
		}
	}
	if err := m.setPassword(ctx, q, user.ID, hash); err != nil {
		return err
	}
	if err := m.ownEmailIdentity(ctx, q, user); err != nil {
		return err
	}
	if err := store.DeleteSessions(ctx, q, user.ID, who.session.ID); err != nil {
		return err
	}
	if err := m.audit(ctx, q, user, actionUpdatedPassword, nil); err != nil {
		return err
	}
	return m.notify(ctx, q, mail.Message{Kind: mail.PasswordChanged, User: user})
}

// askEmailChange has a new address confirmed, or takes it at once.
func (m *Module) askEmailChange(ctx context.Context, q db.Queryer, user *store.User, req userUpdateRequest) error {
	if user.IsAnonymous && m.cfg.Autoconfirm {
		return changeEmail(ctx, q, user, req.Email)
	}
	return m.mailEmailChange(ctx, q, mail.Message{User: user, NewEmail: req.Email, RedirectTo: req.redirectTo}, req.pkce)
}

// changeEmail makes a confirmed address the user's, and the user no longer anonymous.
func changeEmail(ctx context.Context, q db.Queryer, user *store.User, email string) error {
	if err := store.SetEmail(ctx, q, user.ID, email); err != nil {
		return err
	}
	if err := store.PutOwnIdentity(ctx, q, user.ID, store.Own{Provider: store.ProviderEmail, Value: email, Verified: true}); err != nil {
		return err
	}
	if user.IsAnonymous {
		if err := store.MakePermanent(ctx, q, user.ID); err != nil {
			return err
		}
	}
	if user.EmailConfirmedAt != nil {
		return nil
	}
	return store.ConfirmEmail(ctx, q, user.ID)
}
