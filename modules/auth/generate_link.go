package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

// The types of POST /admin/generate_link that POST /verify does not have.
const (
	typeEmailChangeCurrent = "email_change_current"
	typeEmailChangeNew     = "email_change_new"
)

type generateLinkRequest struct {
	Type       string         `json:"type"`
	Email      string         `json:"email"`
	NewEmail   string         `json:"new_email"`
	Password   string         `json:"password"`
	Data       map[string]any `json:"data"`
	RedirectTo string         `json:"redirect_to"`

	// hash is the password's, and fresh the user to make where there is none.
	hash  string
	fresh signupRequest
}

type generateLinkBody struct {
	*store.User
	ActionLink       string `json:"action_link"`
	EmailOTP         string `json:"email_otp"`
	HashedToken      string `json:"hashed_token"`
	VerificationType string `json:"verification_type"`
	RedirectTo       string `json:"redirect_to"`
}

// linkKinds are the mails whose links the types are.
var linkKinds = map[string]mail.Kind{
	typeSignup: mail.Confirmation, typeInvite: mail.Invite, typeMagicLink: mail.MagicLink, typeRecovery: mail.Recovery,
	typeEmailChangeCurrent: mail.EmailChange, typeEmailChangeNew: mail.EmailChange,
}

// generateLink answers POST /admin/generate_link: the code and the link that a
// mail would carry, for an administrator to send.
func (m *Module) generateLink(c echo.Context, by admin) error {
	var req generateLinkRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	var err error
	if req.Email, err = parseEmail(req.Email); err != nil {
		return err
	}
	ctx, pool := c.Request().Context(), projectOf(c).DB.Auth
	user, err := m.mailUser(c, req.Email)
	if err != nil {
		return err
	}
	if err := m.checkGenerateLink(ctx, pool, user, &req); err != nil {
		return err
	}
	if !m.redirectAllowed(c.Request(), req.RedirectTo) {
		req.RedirectTo = m.redirectTo(c.Request())
	}
	made := user == nil
	if made {
		req.fresh = signupRequest{Email: req.Email, Data: req.Data}
		if err := m.beforeSignup(c, &req.fresh); err != nil {
			return err
		}
	}
	var code oneTime
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
		if user, err = m.linkUser(ctx, tx, by, user, req); err != nil {
			return err
		}
		if code, err = m.linkCode(ctx, tx, user, req); err != nil {
			return err
		}
		user, err = store.UserByID(ctx, tx, user.ID)
		return err
	})
	if store.Violates(err, "users_email_partial_key") {
		return emailExists()
	}
	if err != nil {
		return databaseError("Database error generating link", err)
	}
	if made {
		if err := m.afterUser(c, user); err != nil {
			return err
		}
	}
	linked := m.linkToken(ctx, code.hash)
	return httpx.JSON(c, http.StatusOK, generateLinkBody{
		User: user, ActionLink: m.mailLink(ctx, linkKinds[req.Type], linked, req.RedirectTo),
		EmailOTP: code.code, HashedToken: linked, VerificationType: req.Type, RedirectTo: req.RedirectTo,
	})
}

// checkGenerateLink refuses what cannot be linked to. A magic link for nobody
// becomes a sign-up. user is nil where the address has none.
func (m *Module) checkGenerateLink(ctx context.Context, q db.Queryer, user *store.User, req *generateLinkRequest) (err error) {
	changes := linkKinds[req.Type] == mail.EmailChange
	switch {
	case linkKinds[req.Type] == "":
		return invalid(fmt.Sprintf("Invalid email action link type requested: %v", req.Type))
	case user == nil && (req.Type == typeRecovery || changes):
		return apierr.New(http.StatusNotFound, codeUserNotFound, "User with this email not found")
	case user == nil && req.Type == typeMagicLink:
		req.Type = typeSignup
		return nil
	case user != nil && user.EmailConfirmedAt != nil && (req.Type == typeSignup || req.Type == typeInvite):
		return emailExists()
	case user == nil && req.Type == typeSignup:
		return m.hashForLink(ctx, req)
	case changes:
		return m.checkChangeLink(ctx, q, user, req)
	}
	return nil
}

func (m *Module) hashForLink(ctx context.Context, req *generateLinkRequest) (err error) {
	if req.Password == "" {
		return invalid("Signup requires a valid password")
	}
	if err := m.checkPassword(ctx, req.Password); err != nil {
		return err
	}
	if req.hash, err = m.hasher.Hash(ctx, req.Password); err != nil {
		return passwordError(err)
	}
	return nil
}

func (m *Module) checkChangeLink(ctx context.Context, q db.Queryer, user *store.User, req *generateLinkRequest) (err error) {
	if req.Type == typeEmailChangeCurrent && !m.cfg.Flow.SecureEmailChange {
		return invalid("Enable secure email change to generate link for current email")
	}
	if req.NewEmail, err = parseEmail(req.NewEmail); err != nil {
		return err
	}
	_, err = store.UserByAnyEmail(ctx, q, req.NewEmail, user.Audience, user.ID)
	if err == nil {
		return emailExists()
	}
	if !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("auth: generate link: %w", err)
	}
	return nil
}

// linkUser is the user that the link is for, made where there is none, and noted
// in the audit log.
func (m *Module) linkUser(ctx context.Context, tx db.Queryer, by admin, user *store.User, req generateLinkRequest) (*store.User, error) {
	if user == nil {
		fresh, err := m.insertBare(ctx, tx, req.fresh, req.hash)
		if err != nil {
			return nil, err
		}
		user = fresh
	} else if req.Type == typeSignup {
		if err := store.MergeUserMetadata(ctx, tx, user.ID, req.Data); err != nil {
			return nil, err
		}
	}
	switch req.Type {
	case typeInvite:
		return user, m.noteInvitation(ctx, tx, by, user)
	case typeMagicLink, typeRecovery:
		return user, m.audit(ctx, tx, user, actionRecovery, nil)
	}
	return user, nil
}

// linkCode makes the link's code, in place of any that the user has of its kind.
func (m *Module) linkCode(ctx context.Context, tx db.Queryer, user *store.User, req generateLinkRequest) (oneTime, error) {
	kind, address := mailedCodes[linkKinds[req.Type]].token, req.Email
	if linkKinds[req.Type] == mail.EmailChange {
		if err := store.BeginEmailChange(ctx, tx, user.ID, req.NewEmail); err != nil {
			return oneTime{}, err
		}
		if req.Type == typeEmailChangeCurrent {
			kind = store.EmailChangeTokenCurrent
		} else {
			address = req.NewEmail
		}
	}
	code := m.newMailCode(ctx, address, pkce{})
	return code, store.PutOneTime(ctx, tx, store.NewOneTime{UserID: user.ID, Kind: kind, RelatesTo: address, Hash: code.hash})
}
