package auth

import (
	"context"
	"net/http"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

// invite answers POST /invite: an account for an address, and a mail that lets its
// owner in. Who has not accepted yet is invited again.
func (m *Module) invite(c echo.Context, by admin) error {
	var req struct {
		Email string         `json:"email"`
		Data  map[string]any `json:"data"`
	}
	if err := readBody(c, &req); err != nil {
		return err
	}
	email, err := parseEmail(req.Email)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	user, err := m.mailUser(c, email)
	if err != nil {
		return err
	}
	if user != nil && user.EmailConfirmedAt != nil {
		return emailExists()
	}
	invited, made, fresh := user, user == nil, signupRequest{Email: email, Data: req.Data}
	if made {
		if err := m.beforeSignup(c, &fresh); err != nil {
			return err
		}
	}
	err = m.transact(ctx, func(tx pgx.Tx) (err error) {
		if user = invited; made {
			if user, err = m.insertBare(ctx, tx, fresh, ""); err != nil {
				return err
			}
		}
		if err := m.noteInvitation(ctx, tx, by, user); err != nil {
			return err
		}
		if err := m.mailCode(ctx, tx, mail.Message{Kind: mail.Invite, User: user, RedirectTo: m.redirectTo(c.Request())}, pkce{}); err != nil {
			return err
		}
		user, err = store.UserByID(ctx, tx, user.ID)
		return err
	})
	if store.Violates(err, "users_email_partial_key") {
		return emailExists()
	}
	if err != nil {
		return databaseError("Error inviting user", err)
	}
	if made {
		if err := m.afterUser(c, user); err != nil {
			return err
		}
	}
	return httpx.JSON(c, http.StatusOK, user)
}

// insertBare adds an unconfirmed user of an administrator's, whose metadata is
// the request's alone. The hash may be empty.
func (m *Module) insertBare(ctx context.Context, q db.Queryer, req signupRequest, hash string) (*store.User, error) {
	id := req.id
	if id == "" {
		id = uuid.NewString()
	}
	return m.insertUser(ctx, q, store.NewUser{
		ID: id, Audience: m.cfg.JWTAudience, Role: m.cfg.JWTDefaultGroupName, Email: req.Email, PasswordHash: hash, UserMetadata: req.Data,
	}, ownIdentity(id, store.ProviderEmail, req.Email))
}

// noteInvitation notes that an administrator has invited the user.
func (m *Module) noteInvitation(ctx context.Context, q db.Queryer, by admin, user *store.User) error {
	if err := m.auditAdmin(ctx, q, by, actionInvited, map[string]any{"user_id": user.ID, "user_email": user.Email}); err != nil {
		return err
	}
	return store.SetInvited(ctx, q, user.ID)
}
