package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

// signupToConfirm is POST /signup for an address that is to be confirmed. An
// address that has a confirmed user gets an answer like a new one, at the same
// time; its list of identities is empty, by which apps know it, as with GoTrue.
func (m *Module) signupToConfirm(c echo.Context, req signupRequest) error {
	ctx := c.Request().Context()
	hash, err := m.hasher.Hash(ctx, req.Password) // for every address, known or not
	if err != nil {
		return passwordError(err)
	}
	var user *store.User
	err = m.quietly(ctx, func() (err error) {
		user, err = m.signupUnconfirmed(c, req, hash)
		return err
	})
	if err != nil {
		return err
	}
	return httpx.JSON(c, http.StatusOK, user)
}

func (m *Module) signupUnconfirmed(c echo.Context, req signupRequest, hash string) (*store.User, error) {
	ctx, pool := c.Request().Context(), projectOf(c).DB.Auth
	user, err := store.UserByAnyEmail(ctx, pool, req.Email, m.cfg.JWTAudience, "")
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("auth: sign up: %w", err)
	}
	if user != nil && (user.EmailConfirmedAt != nil || !strings.EqualFold(user.Email, req.Email)) { // or it is of an identity of theirs
		if err := m.audit(ctx, pool, user, actionRepeatedSignup, map[string]any{"provider": store.ProviderEmail}); err != nil {
			return nil, fmt.Errorf("auth: sign up again: %w", err)
		}
		if err := m.mailNothing(ctx, mail.Confirmation, req.Email); err != nil {
			return nil, err
		}
		return m.nobody(req)
	}
	existing, made := user, user == nil
	if made {
		if err := m.beforeSignup(c, &req); err != nil {
			return nil, err
		}
	}
	err = m.transact(ctx, func(tx pgx.Tx) (err error) {
		if user, err = m.insertOrKeep(ctx, tx, existing, req, hash); err != nil {
			return err
		}
		if err := m.audit(ctx, tx, user, actionConfirmation, map[string]any{"provider": store.ProviderEmail}); err != nil {
			return err
		}
		if err := m.mailCode(ctx, tx, mail.Message{Kind: mail.Confirmation, User: user, RedirectTo: m.redirectTo(c.Request())}, req.pkce); err != nil {
			return err
		}
		user, err = store.UserByID(ctx, tx, user.ID)
		return err
	})
	if store.Violates(err, "users_email_partial_key") { // the same sign-up came twice at once
		return m.nobody(req)
	}
	if err != nil {
		return nil, databaseError("Database error saving new user", err)
	}
	if user = shownUnconfirmed(user); made {
		err = m.afterUser(c, user)
	}
	return user, err
}

// insertOrKeep adds the user, or leaves the unconfirmed one as it is: who asks now
// need not be who signed up.
func (m *Module) insertOrKeep(ctx context.Context, tx db.Queryer, user *store.User, req signupRequest, hash string) (*store.User, error) {
	if user == nil {
		return m.insertSignup(ctx, tx, req, hash)
	}
	if slices.ContainsFunc(user.Identities, isOwn) {
		return user, nil
	}
	return user, store.PutOwnIdentity(ctx, tx, user.ID, store.Own{Provider: store.ProviderEmail, Value: user.Email})
}

func isOwn(i store.Identity) bool { return i.Provider == store.ProviderEmail }

func isForeign(i store.Identity) bool { return !isOwn(i) }

// shownUnconfirmed is what a stranger may see of an unconfirmed user: the identity
// that they signed up with, and nothing of one that an administrator invited.
func shownUnconfirmed(user *store.User) *store.User {
	user.Identities = slices.DeleteFunc(user.Identities, isForeign)
	if user.InvitedAt != nil {
		user.Identities, user.UserMetadata = []store.Identity{}, json.RawMessage("{}")
	}
	return user
}

// nobody is the user that a sign-up with a taken address or number seems to have made.
func (m *Module) nobody(req signupRequest) (*store.User, error) {
	if req.Data == nil {
		req.Data = map[string]any{}
	}
	data, err := json.Marshal(req.Data)
	if err != nil {
		return nil, fmt.Errorf("auth: sign up: %w", err)
	}
	name := store.ProviderEmail
	if req.Phone != "" {
		name = store.ProviderPhone
	}
	app, err := json.Marshal(providers(name))
	if err != nil {
		return nil, fmt.Errorf("auth: sign up: %w", err)
	}
	now := m.now().UTC()
	return &store.User{
		ID: uuid.NewString(), Audience: m.cfg.JWTAudience, Email: req.Email, Phone: req.Phone, ConfirmationSentAt: &now, AppMetadata: app, UserMetadata: data,
		Identities: []store.Identity{}, CreatedAt: now, UpdatedAt: now,
	}, nil
}
