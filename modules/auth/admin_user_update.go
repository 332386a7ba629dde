package auth

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

// adminUserUpdate answers PUT /admin/users/{user_id}.
func (m *Module) adminUserUpdate(c echo.Context, by admin) error {
	user, err := m.namedUser(c)
	if err != nil {
		return err
	}
	var req adminUserRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	change, err := m.adminChange(c.Request().Context(), req)
	if err != nil {
		return err
	}
	ctx, before := c.Request().Context(), user.Identities
	err = pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) (err error) {
		if user, err = store.LockUser(ctx, tx, user.ID); err != nil {
			return err
		}
		for _, step := range change {
			if err := step(ctx, tx, user); err != nil {
				return err
			}
		}
		if user, err = store.UserByID(ctx, tx, user.ID); err != nil {
			return err
		}
		return m.auditAdmin(ctx, tx, by, actionUserModified, about(user))
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return noUser()
	case store.Violates(err, "users_email_partial_key"):
		return emailExists()
	case store.Violates(err, "users_phone_key"):
		return phoneExists()
	case err != nil:
		return databaseError("Error updating user", err)
	}
	user.Identities = asBefore(before, user.Identities)
	return httpx.JSON(c, http.StatusOK, user)
}

// asBefore is GoTrue's view of the identities in the answer to an update: those
// that were there are shown as they were, the next read shows what they became.
func asBefore(before, after []store.Identity) []store.Identity {
	return append(slices.Clone(before), slices.DeleteFunc(after, func(a store.Identity) bool {
		return slices.ContainsFunc(before, func(b store.Identity) bool { return a.ID == b.ID })
	})...)
}

// userChange is one step of an update, within its transaction.
type userChange func(context.Context, db.Queryer, *store.User) error

// adminChange checks a request and hashes its password, and returns what is to be
// done, in GoTrue's order.
func (m *Module) adminChange(ctx context.Context, req adminUserRequest) ([]userChange, error) {
	if err := req.parse(); err != nil {
		return nil, err
	}
	until, ban, err := req.bannedUntil(m.now())
	if err != nil {
		return nil, err
	}
	var steps []userChange
	add := func(wanted bool, step userChange) {
		if wanted {
			steps = append(steps, step)
		}
	}
	add(req.Role != "", func(ctx context.Context, q db.Queryer, u *store.User) error {
		return store.SetRole(ctx, q, u.ID, req.Role)
	})
	add(req.EmailConfirm, func(ctx context.Context, q db.Queryer, u *store.User) error { return store.ConfirmEmail(ctx, q, u.ID) })
	add(req.PhoneConfirm, func(ctx context.Context, q db.Queryer, u *store.User) error { return store.ConfirmPhone(ctx, q, u.ID) })
	if req.Password != nil {
		hash, err := m.adminPassword(ctx, *req.Password)
		if err != nil {
			return nil, err
		}
		add(true, func(ctx context.Context, q db.Queryer, u *store.User) error {
			return m.replacePassword(ctx, q, u.ID, hash)
		})
	}
	add(req.Email != "", req.setEmail)
	add(req.Phone != "", req.setPhone)
	add(req.AppMetadata != nil, func(ctx context.Context, q db.Queryer, u *store.User) error {
		return store.MergeAppMetadata(ctx, q, u.ID, req.AppMetadata)
	})
	add(req.UserMetadata != nil, func(ctx context.Context, q db.Queryer, u *store.User) error {
		return store.MergeUserMetadata(ctx, q, u.ID, req.UserMetadata)
	})
	add(ban, func(ctx context.Context, q db.Queryer, u *store.User) error { return store.Ban(ctx, q, u.ID, until) })
	return steps, nil
}

// adminPassword checks and hashes a new password.
func (m *Module) adminPassword(ctx context.Context, secret string) (string, error) {
	if err := m.checkPassword(ctx, secret); err != nil {
		return "", err
	}
	hash, err := m.hasher.Hash(ctx, secret)
	if err != nil {
		return "", passwordError(err)
	}
	return hash, nil
}

// replacePassword sets a password and ends all of the user's sessions.
func (m *Module) replacePassword(ctx context.Context, q db.Queryer, userID, hash string) error {
	if err := m.setPassword(ctx, q, userID, hash); err != nil {
		return err
	}
	return store.DeleteSessions(ctx, q, userID, "")
}

func (r adminUserRequest) setEmail(ctx context.Context, q db.Queryer, u *store.User) error {
	if err := store.PutOwnIdentity(ctx, q, u.ID, store.Own{Provider: store.ProviderEmail, Value: r.Email, Verified: r.EmailConfirm}); err != nil {
		return err
	}
	if u.IsAnonymous && r.EmailConfirm {
		if err := store.MakePermanent(ctx, q, u.ID); err != nil {
			return err
		}
	}
	_, err := store.UserByAnyEmail(ctx, q, r.Email, u.Audience, u.ID)
	if err == nil {
		return emailExists()
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return store.SetEmail(ctx, q, u.ID, r.Email)
}

func (r adminUserRequest) setPhone(ctx context.Context, q db.Queryer, u *store.User) error {
	if err := store.PutOwnIdentity(ctx, q, u.ID, store.Own{Provider: store.ProviderPhone, Value: r.Phone, Verified: r.PhoneConfirm}); err != nil {
		return err
	}
	if u.IsAnonymous && r.PhoneConfirm {
		if err := store.MakePermanent(ctx, q, u.ID); err != nil {
			return err
		}
	}
	return store.SetPhone(ctx, q, u.ID, r.Phone)
}
