package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/password"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

type adminUserRequest struct {
	ID           string         `json:"id"`
	Audience     string         `json:"aud"`
	Role         string         `json:"role"`
	Email        string         `json:"email"`
	Phone        string         `json:"phone"`
	Password     *string        `json:"password"`
	PasswordHash string         `json:"password_hash"`
	EmailConfirm bool           `json:"email_confirm"`
	PhoneConfirm bool           `json:"phone_confirm"`
	UserMetadata map[string]any `json:"user_metadata"`
	AppMetadata  map[string]any `json:"app_metadata"`
	BanDuration  string         `json:"ban_duration"`
}

// parse checks what creating and updating have in common and brings address and
// number into their stored form.
func (r *adminUserRequest) parse() (err error) {
	if r.Email != "" {
		if r.Email, err = parseEmail(r.Email); err != nil {
			return err
		}
	}
	if r.Phone != "" {
		if r.Phone, err = parsePhone(r.Phone); err != nil {
			return err
		}
	}
	r.Role = strings.TrimSpace(r.Role)
	if len(r.Role) > maxEmail || len(r.Audience) > maxEmail {
		return invalid(fmt.Sprintf("role and aud cannot be longer than %d characters", maxEmail))
	}
	if strings.ContainsRune(r.Role+r.Audience, 0) {
		return invalid("role and aud cannot contain NUL")
	}
	if r.PasswordHash != "" && !password.Valid(r.PasswordHash) {
		return invalid("password_hash must be a bcrypt hash")
	}
	return nil
}

// bannedUntil reads the ban's length; changed is false when none is given, and
// nil means that there is no ban.
func (r *adminUserRequest) bannedUntil(now time.Time) (until *time.Time, changed bool, err error) {
	switch r.BanDuration {
	case "":
		return nil, false, nil
	case "none":
		return nil, true, nil
	}
	length, err := time.ParseDuration(r.BanDuration)
	if err != nil {
		return nil, false, invalid("invalid format for ban duration: " + err.Error())
	}
	if length == 0 {
		return nil, true, nil
	}
	end := now.Add(length)
	return &end, true, nil
}

// adminUserCreate answers POST /admin/users.
func (m *Module) adminUserCreate(c echo.Context, by admin) error {
	var req adminUserRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	ctx, pool := c.Request().Context(), projectOf(c).DB.Auth
	if req.Audience == "" {
		req.Audience = m.audience(c.Request())
	}
	fresh, err := m.newUser(ctx, &req)
	if err != nil {
		return err
	}
	if err := checkFree(ctx, pool, req); err != nil {
		return err
	}
	if fresh.PasswordHash, err = m.newHash(ctx, req); err != nil {
		return err
	}
	var user *store.User
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
		user, err = m.adminInsert(ctx, tx, by, fresh, req.AppMetadata)
		return err
	})
	switch {
	case store.Violates(err, "users_email_partial_key"):
		return emailExists()
	case store.Violates(err, "users_phone_key"):
		return phoneExists()
	case store.Violates(err, "users_pkey"):
		return unprocessable(codeUserExists, "A user with this id already exists")
	case err != nil:
		return databaseError("Database error creating new user", err)
	}
	return httpx.JSON(c, http.StatusOK, user)
}

// newUser makes the user of a request, all but the password's hash.
func (m *Module) newUser(ctx context.Context, req *adminUserRequest) (store.NewUser, error) {
	var fresh store.NewUser
	if req.Email == "" && req.Phone == "" {
		return fresh, invalid("Cannot create a user without either an email or phone")
	}
	if err := req.parse(); err != nil {
		return fresh, err
	}
	if req.Password != nil && req.PasswordHash != "" {
		return fresh, invalid("Only a password or a password hash should be provided")
	}
	id := uuid.New()
	if req.ID != "" {
		var err error
		if id, err = uuid.Parse(req.ID); err != nil {
			return fresh, invalid("ID must conform to the uuid v4 format")
		}
		if id == uuid.Nil {
			return fresh, invalid("ID cannot be a nil uuid")
		}
	}
	until, _, err := req.bannedUntil(m.now())
	if err != nil {
		return fresh, err
	}
	names := []string{store.ProviderEmail, store.ProviderPhone}
	switch {
	case req.Phone == "":
		names = names[:1]
	case req.Email == "":
		names = names[1:]
	}
	metadata := req.UserMetadata
	if req.EmailConfirm {
		if metadata == nil {
			metadata = map[string]any{}
		}
		metadata["email_verified"] = true
	}
	role := req.Role
	if role == "" {
		role = m.cfg.JWTDefaultGroupName
	}
	return store.NewUser{
		ID: id.String(), Audience: req.Audience, Role: role, Email: req.Email, Phone: req.Phone,
		AppMetadata: providers(names...), UserMetadata: metadata,
		EmailConfirmed: req.EmailConfirm, PhoneConfirmed: req.PhoneConfirm, BannedUntil: until,
	}, nil
}

// checkFree refuses an address or number that another user has.
func checkFree(ctx context.Context, q db.Queryer, req adminUserRequest) error {
	if req.Email != "" {
		_, err := store.UserByAnyEmail(ctx, q, req.Email, req.Audience, "")
		if err == nil {
			return emailExists()
		}
		if !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("auth: create user: %w", err)
		}
	}
	if req.Phone == "" {
		return nil
	}
	taken, err := store.PhoneTaken(ctx, q, req.Phone, "")
	if err != nil {
		return fmt.Errorf("auth: create user: %w", err)
	}
	if taken {
		return phoneExists()
	}
	return nil
}

// newHash is the password's hash as given or made; a user without either gets a
// password that nobody knows, as GoTrue does. An administrator's password may be weak.
func (m *Module) newHash(ctx context.Context, req adminUserRequest) (string, error) {
	if req.PasswordHash != "" {
		return req.PasswordHash, nil
	}
	secret := rand.Text() + rand.Text()
	if req.Password != nil && *req.Password != "" {
		secret = *req.Password
	}
	hash, err := m.hasher.Hash(ctx, secret)
	if err != nil {
		return "", passwordError(err)
	}
	return hash, nil
}

func (m *Module) adminInsert(ctx context.Context, q db.Queryer, by admin, fresh store.NewUser, app map[string]any) (*store.User, error) {
	names := fresh.AppMetadata["providers"].([]string)
	if err := m.saveUser(ctx, q, fresh); err != nil {
		return nil, err
	}
	for _, name := range names {
		value := fresh.Email
		if name == store.ProviderPhone {
			value = fresh.Phone
		}
		if err := store.InsertIdentity(ctx, q, fresh.ID, name, ownIdentity(fresh.ID, name, value)); err != nil {
			return nil, err
		}
	}
	if app != nil {
		if err := store.MergeAppMetadata(ctx, q, fresh.ID, app); err != nil {
			return nil, err
		}
	}
	user, err := store.UserByID(ctx, q, fresh.ID)
	if err != nil {
		return nil, err
	}
	traits := about(user)
	traits["provider"] = names[0]
	return user, m.auditAdmin(ctx, q, by, actionSignedUp, traits)
}
