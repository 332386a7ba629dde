package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/modules/auth/token"
	"github.com/madbase/madbase/platform/apierr"
)

type refreshRequest struct {
	RefreshToken string `json:"refresh_token"`
}

// refreshPatience bounds the wait for others that refresh the same session.
const refreshPatience = 5 * time.Second

// grantRefresh exchanges a refresh token for the next one and a new access token.
func (m *Module) grantRefresh(c echo.Context) error {
	var req refreshRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	in, err := m.exchange(c, req.RefreshToken, "")
	if err != nil {
		return err
	}
	return m.respond(c, in)
}

// exchange gives the session of a refresh token its next tokens. oauthClientID is
// the app that asks, and must be the session's; it is empty for the project's own
// sessions. The usual case is one statement; everything else is reuse's to judge.
func (m *Module) exchange(c echo.Context, presented, oauthClientID string) (*issued, error) {
	if !token.IsRefresh(presented) {
		return nil, invalid("Refresh token is not valid")
	}
	who, next := m.client(c.Request()), token.NewRefresh()
	ctx, cancel := context.WithTimeout(c.Request().Context(), refreshPatience)
	defer cancel()
	user, session, err := store.Rotate(ctx, projectOf(c).DB.Auth, store.Refresh{
		Token: presented, OAuthClientID: oauthClientID, Next: next, UserAgent: who.userAgent, IP: who.ip,
		Timebox: m.cfg.SessionsTimebox, Inactivity: m.cfg.SessionsInactivity, Audit: !m.cfg.AuditDisablePostgres,
	})
	refresh := next
	if errors.Is(err, store.ErrNotFound) {
		user, session, refresh, err = m.reuse(ctx, c, store.Refresh{Token: presented, OAuthClientID: oauthClientID, Next: next})
	}
	if err != nil {
		if ctx.Err() != nil && c.Request().Context().Err() == nil {
			return nil, apierr.New(http.StatusConflict, codeConflict, "Too many concurrent token refresh requests on the same session or refresh token").Because(err)
		}
		return nil, databaseError("Database error refreshing session", err)
	}
	in := &issued{user: user, session: session, refresh: refresh}
	if err := m.mint(ctx, projectOf(c).DB.Auth, in, methodRefresh); err != nil {
		return nil, err
	}
	if refresh == next {
		c.Response().Header().Set("Sb-Auth-Refresh-Token-Reuse", "false")
	}
	return in, nil
}

// reuse judges a refresh token that could not simply be exchanged. One that was
// exchanged before is taken in two cases: its child is still the active one, so
// that the client missed the answer; or it was exchanged a moment ago, as by
// several tabs at once. Else someone has a stolen token, and with rotation on
// all of the session's are revoked. A family without an active token was
// revoked so: nothing of it is taken, however fresh.
func (m *Module) reuse(ctx context.Context, c echo.Context, r store.Refresh) (user *store.User, session *store.Session, refresh string, err error) {
	var refusal error // what the transaction still has to commit
	err = pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) error {
		p, err := store.InspectRefresh(ctx, tx, r.Token)
		if errors.Is(err, store.ErrNotFound) {
			return badRequest(codeRefreshNotFound, "Invalid Refresh Token: Refresh Token Not Found")
		}
		if err != nil {
			return fmt.Errorf("auth: refresh: %w", err)
		}
		if refusal = m.refuseRefresh(p, r.OAuthClientID); refusal != nil {
			if p.Session.ID == "" { // left over from before there were sessions
				return store.DeleteRefreshToken(ctx, tx, r.Token)
			}
			return nil
		}
		user, session, refresh = p.User, p.Session, p.Active
		switch {
		case p.Revoked && p.Active != "" && p.ActiveParent == r.Token:
		case p.Revoked && (p.Active == "" || m.now().After(p.RevokedAt.Add(time.Duration(m.cfg.RefreshReuseInterval)*time.Second))):
			refusal = badRequest(codeRefreshUsed, "Invalid Refresh Token: Already Used")
			if m.cfg.RefreshRotation {
				m.deps.Log.WarnContext(ctx, "refresh token was used again; its session's tokens are revoked", "session_id", session.ID, "user_id", user.ID)
				return store.RevokeFamily(ctx, tx, session.ID)
			}
			return nil
		default: // a token that is not revoked comes here when it was refused a moment ago and is fine now
			refresh = r.Next
			if err := store.InsertRefreshToken(ctx, tx, p, r.Token, r.Next); err != nil {
				return err
			}
			if err := m.audit(ctx, tx, user, actionTokenRevoked, nil); err != nil {
				return err
			}
		}
		if err := m.audit(ctx, tx, user, actionTokenRefreshed, nil); err != nil {
			return err
		}
		who := m.client(c.Request())
		return store.TouchSession(ctx, tx, session.ID, who.userAgent, who.ip)
	})
	if err == nil {
		err = refusal
	}
	return user, session, refresh, err
}

// refuseRefresh says why the token's user or session may not go on, or not with the app that asks.
func (m *Module) refuseRefresh(p *store.Presented, oauthClientID string) error {
	switch {
	case p.User.Banned(m.now()):
		return badRequest(codeUserBanned, "Invalid Refresh Token: User Banned")
	case p.Session.ID == "":
		return badRequest(codeSessionNotFound, "Invalid Refresh Token: No Valid Session Found")
	}
	if why := m.expired(p.Session); why != "" {
		return badRequest(codeSessionExpired, "Invalid Refresh Token: "+why)
	}
	switch p.Session.OAuthClientID {
	case oauthClientID:
		return nil
	case "":
		return oauthError(oauthInvalidClient, "Client authentication not allowed for non-OAuth session")
	}
	if oauthClientID == "" {
		return oauthError(oauthInvalidClient, "Client authentication required for OAuth session")
	}
	return oauthError(oauthInvalidClient, "Client does not match the session's OAuth client")
}
