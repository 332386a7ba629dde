package auth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/password"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
)

type signupRequest struct {
	Email    string         `json:"email"`
	Phone    string         `json:"phone"`
	Password string         `json:"password"`
	Data     map[string]any `json:"data"`
	Channel  string         `json:"channel"`
	pkce
	// id is that of the user whom the request makes.
	id string
}

// beforeSignup asks the app whether the request may make its user, to whom it gives an id.
func (m *Module) beforeSignup(c echo.Context, req *signupRequest) error {
	req.id = uuid.NewString()
	return m.beforeUser(c, store.NewUser{
		ID: req.id, Audience: m.cfg.JWTAudience, Email: req.Email, AppMetadata: providers(store.ProviderEmail), UserMetadata: req.Data,
	})
}

// signup answers POST /signup: a new user by address and password, signed in at
// once or after a confirmation; or an anonymous one when there is neither
// address nor number.
func (m *Module) signup(c echo.Context) error {
	var req signupRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	if req.Email == "" && req.Phone == "" {
		return m.signupAnonymous(c, req)
	}
	if err := m.allow(c.Request(), "signup", m.cfg.RateLimitOTP, 5*time.Minute); err != nil {
		return err
	}
	if err := m.checkSignup(c.Request().Context(), &req); err != nil {
		return err
	}
	if req.Phone != "" {
		return m.signupPhone(c, req)
	}
	if !m.cfg.Autoconfirm {
		return m.signupToConfirm(c, req)
	}
	p, ctx := projectOf(c), c.Request().Context()
	existing, err := store.UserByAnyEmail(ctx, p.DB.Auth, req.Email, m.cfg.JWTAudience, "")
	if err == nil {
		return m.signupAgain(c, existing, req)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("auth: sign up: %w", err)
	}
	if err := m.beforeSignup(c, &req); err != nil {
		return err
	}
	hash, err := m.hasher.Hash(ctx, req.Password)
	if err != nil {
		return passwordError(err)
	}
	var user *store.User
	var in *issued
	err = m.transact(ctx, func(tx pgx.Tx) (err error) {
		if user, err = m.insertSignup(ctx, tx, req, hash); err != nil {
			return err
		}
		if err := m.audit(ctx, tx, user, actionSignedUp, map[string]any{"provider": store.ProviderEmail}); err != nil {
			return err
		}
		in, err = m.signIn(ctx, tx, user, store.ProviderEmail, m.client(c.Request()))
		return err
	})
	if store.Violates(err, "users_email_partial_key") { // the same sign-up came twice at once
		return userExists()
	}
	if err != nil {
		return databaseError("Database error saving new user", err)
	}
	for i := range user.Identities { // GoTrue's answer shows the identity as confirmed with the user; the stored one is not
		user.Identities[i].Data = user.UserMetadata
	}
	if err := m.afterUser(c, user); err != nil {
		return err
	}
	return m.respond(c, in)
}

func userExists() error { return unprocessable(codeUserExists, "User already registered") }

func (m *Module) checkSignup(ctx context.Context, req *signupRequest) (err error) {
	if m.cfg.DisableSignup {
		return unprocessable(codeSignupDisabled, "Signups not allowed for this instance")
	}
	if req.Password == "" {
		return invalid("Signup requires a valid password")
	}
	if err := m.checkPassword(ctx, req.Password); err != nil {
		return err
	}
	switch {
	case req.Email != "" && req.Phone != "":
		return invalid("Only an email address or phone number should be provided on signup.")
	case req.Phone != "":
		return m.checkSignupPhone(req)
	case !m.cfg.EmailEnabled:
		return badRequest(codeEmailDisabled, "Email signups are disabled")
	}
	if err := req.check(); err != nil {
		return err
	}
	req.Email, err = parseEmail(req.Email)
	return err
}

// insertSignup adds a user with their email identity, confirmed under autoconfirm.
// The metadata begins with the identity's data, where the user's own cannot pass for it.
func (m *Module) insertSignup(ctx context.Context, q db.Queryer, req signupRequest, hash string) (*store.User, error) {
	id := req.id
	if id == "" {
		id = uuid.NewString()
	}
	data := maps.Clone(req.Data)
	if data == nil {
		data = map[string]any{}
	}
	maps.Copy(data, ownIdentity(id, store.ProviderEmail, req.Email))
	metadata := maps.Clone(data)
	if m.cfg.Autoconfirm {
		metadata["email_verified"] = true
	}
	return m.insertUser(ctx, q, store.NewUser{
		ID: id, Audience: m.cfg.JWTAudience, Role: m.cfg.JWTDefaultGroupName, Email: req.Email, PasswordHash: hash, EmailConfirmed: m.cfg.Autoconfirm,
		UserMetadata: metadata,
	}, data)
}

// insertUser adds a user who signs in by their address, with the data of that identity.
func (m *Module) insertUser(ctx context.Context, q db.Queryer, n store.NewUser, identity map[string]any) (*store.User, error) {
	n.AppMetadata = providers(store.ProviderEmail)
	if err := m.saveUser(ctx, q, n); err != nil {
		return nil, err
	}
	if err := store.InsertIdentity(ctx, q, n.ID, store.ProviderEmail, identity); err != nil {
		return nil, err
	}
	return store.UserByID(ctx, q, n.ID) // as the app's own triggers have left it
}

// signIn notes a sign-in by password, with the address or number of provider, and
// starts its session.
func (m *Module) signIn(ctx context.Context, q db.Queryer, user *store.User, provider string, who client) (*issued, error) {
	if err := m.audit(ctx, q, user, actionLogin, map[string]any{"provider": provider}); err != nil {
		return nil, err
	}
	return m.startSession(ctx, q, user, entry{method: methodPassword}, who)
}

// providers are the app_metadata of a user who signs in in these ways.
func providers(names ...string) map[string]any {
	return map[string]any{"provider": names[0], "providers": names}
}

// signupAgain answers a sign-up with an address that has a user. One whom an
// administrator made without confirming the address is confirmed and signed in,
// but only with the right password: GoTrue does so with any.
func (m *Module) signupAgain(c echo.Context, user *store.User, req signupRequest) error {
	ctx, pool := c.Request().Context(), projectOf(c).DB.Auth
	err := m.comparePassword(ctx, user, req.Password)
	if err != nil && !errors.Is(err, password.ErrMismatch) {
		return passwordError(err)
	}
	if err != nil || user.EmailConfirmedAt != nil || user.Banned(m.now()) {
		if err := m.audit(ctx, pool, user, actionRepeatedSignup, map[string]any{"provider": store.ProviderEmail}); err != nil {
			return fmt.Errorf("auth: sign up again: %w", err)
		}
		return userExists()
	}
	var in *issued
	err = m.transact(ctx, func(tx pgx.Tx) (err error) {
		if err := m.audit(ctx, tx, user, actionSignedUp, map[string]any{"provider": store.ProviderEmail}); err != nil {
			return err
		}
		if err := store.ConfirmEmail(ctx, tx, user.ID); err != nil {
			return err
		}
		if user, err = store.UserByID(ctx, tx, user.ID); err != nil {
			return err
		}
		in, err = m.signIn(ctx, tx, user, store.ProviderEmail, m.client(c.Request()))
		return err
	})
	if err != nil {
		return databaseError("Database error updating user", err)
	}
	return m.respond(c, in)
}

// signupAnonymous makes a user with nothing but an id.
func (m *Module) signupAnonymous(c echo.Context, req signupRequest) error {
	if !m.cfg.AnonymousUsersEnabled {
		return unprocessable(codeAnonymousDisabled, "Anonymous sign-ins are disabled")
	}
	if err := m.allow(c.Request(), "anonymous", m.cfg.RateLimitAnonymousUsers, time.Hour); err != nil {
		return err
	}
	if m.cfg.DisableSignup {
		return unprocessable(codeSignupDisabled, "Signups not allowed for this instance")
	}
	ctx, id := c.Request().Context(), uuid.NewString()
	fresh := store.NewUser{ID: id, Audience: m.cfg.JWTAudience, Role: m.cfg.JWTDefaultGroupName, UserMetadata: req.Data, IsAnonymous: true}
	if err := m.beforeUser(c, fresh); err != nil {
		return err
	}
	var user *store.User
	var in *issued
	err := m.transact(ctx, func(tx pgx.Tx) (err error) {
		if err = m.saveUser(ctx, tx, fresh); err != nil {
			return err
		}
		if user, err = store.UserByID(ctx, tx, id); err != nil {
			return err
		}
		in, err = m.startSession(ctx, tx, user, entry{method: methodAnonymous}, m.client(c.Request()))
		return err
	})
	if err != nil {
		return databaseError("Database error creating anonymous user", err)
	}
	if err := m.afterUser(c, user); err != nil {
		return err
	}
	return m.respond(c, in)
}
