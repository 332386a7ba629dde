package auth

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

// verifyRequest is the body of POST /verify: a code with the address or number
// that it was sent to, or a link's hash alone.
type verifyRequest struct {
	Type       string `json:"type"`
	Token      string `json:"token"`
	TokenHash  string `json:"token_hash"`
	Email      string `json:"email"`
	Phone      string `json:"phone"`
	RedirectTo string `json:"redirect_to"`
}

// verifies are the tokens that a type of verification by mail may use, in the
// order in which they are tried.
var verifies = map[string][]store.OneTime{
	typeSignup:      {store.ConfirmationToken},
	typeInvite:      {store.ConfirmationToken},
	typeRecovery:    {store.RecoveryToken},
	typeMagicLink:   {store.RecoveryToken},
	typeEmail:       {store.ConfirmationToken, store.RecoveryToken},
	typeEmailChange: {store.EmailChangeTokenCurrent, store.EmailChangeTokenNew},
}

// check refuses a body that is neither a code nor a hash, and makes a code of
// a mail its hash.
func (r *verifyRequest) check() (err error) {
	switch {
	case r.Type == "":
		return invalid("Verify requires a verification type")
	case (r.Token == "") == (r.TokenHash == ""):
		return invalid("Verify requires either a token or a token hash")
	case r.Token == "" && (r.Email != "" || r.Phone != "" || r.RedirectTo != ""):
		return invalid("Only the token_hash and type should be provided")
	case r.Token == "":
		return nil
	case r.Phone != "" && r.Email == "":
		r.Phone, err = parsePhone(r.Phone)
		return err
	case r.Email == "" || r.Phone != "":
		return invalid("Only an email address or phone number should be provided on verify")
	}
	if r.Email, err = parseEmail(r.Email); err != nil {
		return unprocessable(codeValidation, "Invalid email format").Because(err)
	}
	r.TokenHash = hashCode(r.Email, r.Token)
	return nil
}

// verifyPost answers POST /verify: who shows a code or a link's hash is signed in.
func (m *Module) verifyPost(c echo.Context) error {
	if err := m.allow(c.Request(), "verify", m.cfg.Flow.RateLimitVerify, 5*time.Minute); err != nil {
		return err
	}
	if m.cfg.Flow.ConfirmPage && isForm(c.Request()) {
		return m.pressed(c)
	}
	var req verifyRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	if err := req.check(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	if req.Token != "" {
		if err := m.takeCode(ctx, req.Email+req.Phone); err != nil {
			return err
		}
	}
	if req.Phone != "" {
		return m.verifyText(c, req)
	}
	var in *issued
	err := m.transact(ctx, func(tx pgx.Tx) error {
		in = nil
		o, err := m.verify(ctx, tx, req, m.audience(c.Request()))
		if err != nil || o.half {
			return err
		}
		in, err = m.startSession(ctx, tx, o.user, entry{method: methodOTP}, m.client(c.Request()))
		return err
	})
	if err != nil {
		return verifyError(err)
	}
	if in == nil {
		return httpx.JSON(c, http.StatusOK, map[string]string{"msg": halfChanged, "code": strconv.Itoa(http.StatusOK)})
	}
	return m.respond(c, in)
}

// verifyError gives the failures of a verification their public face.
func verifyError(err error) error {
	if store.Violates(err, "users_email_partial_key") { // another user has taken the new address in the meantime
		return emailExists()
	}
	return databaseError("Database error updating user", err)
}

// halfChanged is what the first of two addresses hears that confirm a change.
const halfChanged = "Confirmation link accepted. Please proceed to confirm link sent to the other email"

// opened is a pending token that a request has opened, and what it did.
type opened struct {
	user *store.User
	// kind is the token's; pending are all of the user's, as before.
	kind    store.OneTime
	pending *store.OneTimes
	// verifies is the request's type, where typeEmail has become what it stands for.
	verifies string
	// half says that the other address of a change is still to confirm it.
	half bool
}

// verify uses the token that req names and does what it was sent for. Of several
// requests with one token the first is taken. The answer's user is as after it.
func (m *Module) verify(ctx context.Context, tx db.Queryer, req verifyRequest, audience string) (*opened, error) {
	o, err := m.open(ctx, tx, req, audience)
	if err != nil {
		return nil, err
	}
	switch o.verifies {
	case typeEmailChange:
		err = m.confirmEmailChange(ctx, tx, o)
	case typeRecovery, typeMagicLink:
		err = m.confirmSignIn(ctx, tx, o)
	default:
		err = m.confirmAddress(ctx, tx, o)
	}
	if err != nil || o.half {
		return o, err
	}
	if err := store.SetProviders(ctx, tx, o.user.ID); err != nil {
		return nil, err
	}
	before := o.user.Email
	if o.user, err = store.UserByID(ctx, tx, o.user.ID); err != nil {
		return nil, err
	}
	if o.verifies == typeEmailChange && before != o.user.Email {
		err = m.notify(ctx, tx, mail.Message{Kind: mail.EmailChanged, User: o.user, OldEmail: before})
	}
	return o, err
}

// open finds the pending token that req names. Every reason not to, but for a
// ban, looks the same.
func (m *Module) open(ctx context.Context, tx db.Queryer, req verifyRequest, audience string) (*opened, error) {
	refused := otpExpired("Token has expired or is invalid")
	kinds := verifies[req.Type]
	if req.Token == "" {
		refused = otpExpired("Email link is invalid or has expired")
		if kinds == nil {
			return nil, invalid("Invalid email verification type")
		}
	}
	user, err := m.userToVerify(ctx, tx, &req, audience)
	if errors.Is(err, store.ErrNotFound) {
		user, err = &store.User{ID: uuid.Nil.String()}, nil // who is looked for all the same
	}
	if err != nil {
		return nil, err
	}
	pending, err := store.LockOneTimes(ctx, tx, user.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, refused
	}
	if err != nil {
		return nil, err
	}
	for _, kind := range kinds {
		if !opens(pending.Of(kind), req.TokenHash, m.now(), m.mailCodeLife()) {
			continue
		}
		if user.Banned(m.now()) {
			return nil, forbidden(codeUserBanned, "User is banned")
		}
		return &opened{user: user, kind: kind, pending: pending, verifies: meaning(req.Type, kind)}, nil
	}
	return nil, refused
}

// userToVerify is whose token req may name: that of the link, whose hash it puts in
// its place, or of the code's address. A changed address is not the user's yet;
// there the code is looked for.
func (m *Module) userToVerify(ctx context.Context, q db.Queryer, req *verifyRequest, audience string) (user *store.User, err error) {
	kinds := verifies[req.Type]
	switch {
	case req.Token == "":
		req.TokenHash, user, err = m.linked(ctx, q, req.TokenHash, kinds...)
		return user, err
	case req.Type != typeEmailChange:
		return store.UserByEmail(ctx, q, req.Email, audience)
	}
	user, err = store.UserByOneTime(ctx, q, req.TokenHash, kinds...)
	if errors.Is(err, store.ErrNotFound) {
		user, err = store.UserByOneTime(ctx, q, pkcePrefix+req.TokenHash, kinds...)
	}
	return user, err
}

// meaning is what a request's type stands for when it has opened a token of the kind.
func meaning(asked string, kind store.OneTime) string {
	switch {
	case asked != typeEmail:
		return asked
	case kind == store.ConfirmationToken:
		return typeSignup
	}
	return typeMagicLink
}

// confirmSignIn is the end of a recovery or a magic link.
func (m *Module) confirmSignIn(ctx context.Context, tx db.Queryer, o *opened) error {
	if err := store.DropOneTimes(ctx, tx, o.user.ID, o.kind); err != nil {
		return err
	}
	if o.user.EmailConfirmedAt == nil {
		return m.confirmAddress(ctx, tx, o)
	}
	return m.audit(ctx, tx, o.user, actionLogin, nil)
}

// confirmAddress marks the user's address as confirmed. Who proves to own it by a
// recovery, a magic link or an invitation need not be who signed up with it: a
// password and sign-ins at providers that the account has from then are void,
// or else whoever took the address first could come back (account
// pre-hijacking). Who confirms a sign-up keeps what it was made with.
func (m *Module) confirmAddress(ctx context.Context, tx db.Queryer, o *opened) error {
	user := o.user
	if user.ConfirmedAt == nil && o.verifies != typeSignup {
		if err := store.Disown(ctx, tx, user.ID, store.ProviderEmail); err != nil {
			return err
		}
		if err := store.PutOwnIdentity(ctx, tx, user.ID, store.Own{Provider: store.ProviderEmail, Value: user.Email, Verified: true}); err != nil {
			return err
		}
	}
	if err := m.audit(ctx, tx, user, actionSignedUp, map[string]any{"provider": store.ProviderEmail}); err != nil {
		return err
	}
	if err := store.ConfirmEmail(ctx, tx, user.ID); err != nil {
		return err
	}
	return store.VerifyIdentities(ctx, tx, user.ID)
}

// confirmEmailChange makes the new address the user's, once each address that was
// asked has said so.
func (m *Module) confirmEmailChange(ctx context.Context, tx db.Queryer, o *opened) error {
	user := o.user
	if user.NewEmail == "" {
		return otpExpired("Token has expired or is invalid")
	}
	if m.bothConfirm(user) && !o.pending.HalfChanged {
		o.half = true
		return store.HalfChangeEmail(ctx, tx, user.ID, o.kind)
	}
	if err := m.audit(ctx, tx, user, actionUserModified, nil); err != nil {
		return err
	}
	return m.finishEmailChange(ctx, tx, user, user.NewEmail)
}

// finishEmailChange makes a confirmed address the user's, and the user no longer anonymous.
func (m *Module) finishEmailChange(ctx context.Context, tx db.Queryer, user *store.User, email string) error {
	if err := store.PutOwnIdentity(ctx, tx, user.ID, store.Own{Provider: store.ProviderEmail, Value: email, Verified: true}); err != nil {
		return err
	}
	if user.IsAnonymous {
		if err := store.MakePermanent(ctx, tx, user.ID); err != nil {
			return err
		}
	}
	if err := store.FinishEmailChange(ctx, tx, user.ID); err != nil {
		return err
	}
	if user.EmailConfirmedAt != nil {
		return nil
	}
	return store.ConfirmEmail(ctx, tx, user.ID)
}
