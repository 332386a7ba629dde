package auth

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/sms"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
)

// textProof is a code as its owner types it.
type textProof struct {
	// purpose is textPhoneChange, or textConfirmation, which stands for textSignIn too.
	purpose     textPurpose
	phone, code string
	// fixed says that the code is the number's by GOTRUE_SMS_TEST_OTP, which
	// holds whether it was asked for or not; proven that the provider has taken it.
	fixed, proven bool
}

// wrongCode is the one answer to every code that is not taken.
func wrongCode() error { return otpExpired("Token has expired or is invalid") }

// verifyText answers POST /verify of the types sms and phone_change: the number
// is the user's, who is signed in.
func (m *Module) verifyText(c echo.Context, req verifyRequest) error {
	p := textProof{purpose: textConfirmation, phone: req.Phone, code: req.Token}
	switch req.Type {
	case typePhoneChange:
		p.purpose = textPhoneChange
	case typeSMS:
	default:
		return wrongCode()
	}
	user, err := m.provingUser(c, p)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	p.fixed = m.sms.IsTestCode(p.phone, p.code, m.now())
	if p.proven, err = m.takenElsewhere(ctx, p.phone, p.code); err != nil {
		return err
	}
	var in *issued
	err = m.transact(ctx, func(tx pgx.Tx) error {
		if user, err = m.proveNumber(ctx, tx, user.ID, p); err != nil {
			return err
		}
		in, err = m.startSession(ctx, tx, user, entry{method: methodOTP}, m.client(c.Request()))
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound): // the user was deleted in the meantime
		return wrongCode()
	case store.Violates(err, "users_phone_key"): // another user has confirmed the number first
		return phoneExists()
	case err != nil:
		return databaseError("Error confirming user", err)
	}
	return m.respond(c, in)
}

// proveNumber uses a code up: of several requests with it the first is taken.
func (m *Module) proveNumber(ctx context.Context, tx db.Queryer, userID string, p textProof) (*store.User, error) {
	tokens, err := store.LockOneTimes(ctx, tx, userID)
	if err != nil {
		return nil, err
	}
	user, err := store.UserByID(ctx, tx, userID)
	if err != nil {
		return nil, err
	}
	purpose, ok := m.opensText(tokens, p)
	if !ok || !p.names(user) {
		return nil, wrongCode()
	}
	if user.Banned(m.now()) {
		return nil, forbidden(codeUserBanned, "User is banned")
	}
	if purpose == textSignIn {
		if err := store.DropOneTime(ctx, tx, userID, store.RecoveryToken); err != nil {
			return nil, err
		}
		if user.ConfirmedAt == nil {
			if err := store.Disown(ctx, tx, userID, store.ProviderPhone); err != nil {
				return nil, err
			}
		}
	}
	return m.confirmPhone(ctx, tx, user, p)
}

// opensText reports whether the code is one that was sent, and what it was sent
// for. Of one that is known to be right in another way, that is the last one
// sent; without one sent, a code that the provider takes is for something else,
// such as a second factor.
func (m *Module) opensText(tokens *store.OneTimes, p textProof) (textPurpose, bool) {
	change, confirmation, signIn := tokens.PhoneChange, tokens.Confirmation, tokens.Recovery
	right := func(pending store.Pending) bool { return p.fixed || p.proven && pending.Hash != "" }
	switch {
	case p.purpose == textPhoneChange:
		return textPhoneChange, right(change) || m.opensPending(change, p.phone, p.code)
	case signIn.Hash != "" && right(signIn) && isLater(signIn, confirmation):
		return textSignIn, true
	case !p.fixed && m.opensPending(signIn, p.phone, p.code):
		return textSignIn, true
	}
	return textConfirmation, right(confirmation) || m.opensPending(confirmation, p.phone, p.code)
}

// isLater reports whether a was sent after b.
func isLater(a, b store.Pending) bool {
	return a.SentAt != nil && (b.Hash == "" || b.SentAt == nil || a.SentAt.After(*b.SentAt))
}

// opensPending reports whether the code is the pending one that went to the number.
func (m *Module) opensPending(pending store.Pending, phone, code string) bool {
	return opens(pending, hashCode(phone, code), m.now(), m.textCodeLife())
}

// names reports whether the number is still the one that the proof is about.
func (p textProof) names(user *store.User) bool {
	if p.purpose == textPhoneChange {
		return user.NewPhone == p.phone
	}
	return user.Phone == p.phone
}

// provingUser is the user whom a proof is about.
func (m *Module) provingUser(c echo.Context, p textProof) (user *store.User, err error) {
	ctx, pool, audience := c.Request().Context(), projectOf(c).DB.Auth, m.audience(c.Request())
	if p.purpose == textPhoneChange {
		user, err = store.UserByPhoneChange(ctx, pool, p.phone, audience, hashCode(p.phone, p.code))
	} else {
		user, err = store.UserByPhone(ctx, pool, p.phone, audience)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, wrongCode()
	case err != nil:
		return nil, fmt.Errorf("auth: verify: %w", err)
	}
	return user, nil
}

// takenElsewhere asks the provider whether the code is right, where only the
// provider knows; else it is false. A code can be taken so but once: what
// follows must do.
func (m *Module) takenElsewhere(ctx context.Context, phone, code string) (bool, error) {
	if _, test := m.sms.TestCode(phone, m.now()); test || !m.codesElsewhere() {
		return false, nil
	}
	err := m.sms.Check(ctx, phone, code)
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, sms.ErrWrongCode) {
		m.deps.Log.ErrorContext(ctx, "a code could not be checked", "error", err)
	}
	return false, wrongCode()
}

// confirmPhone makes the number that was proved the user's own, and returns the
// user as they then are.
func (m *Module) confirmPhone(ctx context.Context, q db.Queryer, user *store.User, p textProof) (*store.User, error) {
	var err error
	if p.purpose == textPhoneChange {
		err = m.changePhone(ctx, q, user, p.phone)
	} else {
		err = m.audit(ctx, q, user, actionSignedUp, map[string]any{"provider": store.ProviderPhone})
		if err == nil {
			err = store.ConfirmPhone(ctx, q, user.ID)
		}
	}
	if err == nil && user.IsAnonymous {
		err = store.MakePermanent(ctx, q, user.ID)
	}
	if err == nil {
		err = store.SetProviders(ctx, q, user.ID)
	}
	if err != nil {
		return nil, err
	}
	return store.UserByID(ctx, q, user.ID)
}

// changePhone gives the user a confirmed number, and tells them by mail, where
// the settings ask for it.
func (m *Module) changePhone(ctx context.Context, q db.Queryer, user *store.User, phone string) error {
	if err := m.audit(ctx, q, user, actionUserModified, nil); err != nil {
		return err
	}
	if err := store.PutOwnIdentity(ctx, q, user.ID, store.Own{Provider: store.ProviderPhone, Value: phone, Verified: true}); err != nil {
		return err
	}
	if err := store.ChangePhone(ctx, q, user.ID, phone); err != nil {
		return err
	}
	changed := *user
	changed.Phone = phone
	if user.Phone != "" && user.Phone != phone {
		if err := m.notify(ctx, q, mail.Message{Kind: mail.PhoneChanged, User: &changed, OldPhone: user.Phone}); err != nil {
			return err
		}
	}
	if user.HasProvider(store.ProviderPhone) {
		return nil
	}
	return m.notify(ctx, q, mail.Message{Kind: mail.IdentityLinked, User: &changed, Provider: store.ProviderPhone})
}

// checkPhoneNonce is checkNonce for a user without an address. What the provider
// has taken once, where only the provider knows the code, becomes the stored
// code: the nonce is looked at twice.
func (m *Module) checkPhoneNonce(ctx context.Context, q db.Queryer, user *store.User, nonce string) error {
	if err := m.takeCode(ctx, user.Phone); err != nil {
		return err
	}
	tokens, err := store.LockOneTimes(ctx, q, user.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	refused := unprocessable(codeReauthInvalid, "Nonce has expired or is invalid")
	if err != nil || tokens.Reauthentication.Hash == "" {
		return refused
	}
	if m.opensPending(tokens.Reauthentication, user.Phone, nonce) {
		return nil
	}
	proven, err := m.takenElsewhere(ctx, user.Phone, nonce)
	if err != nil {
		return err
	}
	if !proven {
		return refused
	}
	return store.PutOneTime(ctx, q, store.NewOneTime{
		UserID: user.ID, Kind: store.ReauthenticationToken, RelatesTo: user.Phone, Hash: hashCode(user.Phone, nonce),
	})
}
