package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/hook"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/modules/auth/token"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
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
	if _, counted := token.ParseCounted(presented); !counted && !token.IsRefresh(presented) {
		return nil, invalid("Refresh token is not valid")
	}
	who := m.client(c.Request())
	ctx, cancel := context.WithTimeout(c.Request().Context(), refreshPatience)
	defer cancel()
	in, err := m.rotate(ctx, projectOf(c).DB.Auth, store.Refresh{
		Token: presented, OAuthClientID: oauthClientID, Next: token.NewRefresh(), UserAgent: who.userAgent, IP: who.ip,
		Timebox: m.cfg.SessionsTimebox, Inactivity: m.cfg.SessionsInactivity, Audit: !m.cfg.AuditDisablePostgres,
	})
	if err != nil {
		if ctx.Err() != nil && c.Request().Context().Err() == nil {
			return nil, apierr.New(http.StatusConflict, codeConflict, "Too many concurrent token refresh requests on the same session or refresh token").Because(err)
		}
		return nil, databaseError("Database error refreshing session", err)
	}
	return in, nil
}

// rotate exchanges a refresh token: in one statement where no setting asks for
// more and nothing stands against it, else in a transaction.
func (m *Module) rotate(ctx context.Context, pool *db.Pool, r store.Refresh) (*issued, error) {
	counted, isCounted := token.ParseCounted(r.Token)
	if !isCounted && m.cfg.Sessions.plain() && m.cfg.Refresh.UpgradePercentage == 0 && !m.hooks.Enabled(hook.CustomAccessToken) {
		user, session, err := store.Rotate(ctx, pool, r)
		if err == nil {
			in := &issued{user: user, session: session, refresh: r.Next, ip: r.IP, reuse: "false"}
			return in, m.mint(ctx, pool, in, methodRefresh)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	var in *issued
	var refusal error // what the transaction still has to commit
	err := m.transact(ctx, func(tx pgx.Tx) (err error) {
		if isCounted {
			in, refusal, err = m.rotateCounted(ctx, tx, counted, r)
		} else {
			in, refusal, err = m.reuse(ctx, tx, r)
		}
		if err != nil || refusal != nil {
			return err
		}
		return m.mint(ctx, tx, in, methodRefresh)
	})
	if err == nil {
		err = refusal
	}
	return in, err
}

// reuse judges a refresh token that could not simply be exchanged. One that was
// exchanged before is taken in two cases: its child is still the active one, so
// that the client missed the answer; or it was exchanged a moment ago, as by
// several tabs at once. Else someone has a stolen token, and with rotation on
// all of the session's are revoked. A family without an active token was
// revoked so: nothing of it is taken, however fresh.
func (m *Module) reuse(ctx context.Context, tx pgx.Tx, r store.Refresh) (in *issued, refusal, err error) {
	p, err := store.InspectRefresh(ctx, tx, r.Token)
	if errors.Is(err, store.ErrNotFound) {
		return nil, badRequest(codeRefreshNotFound, "Invalid Refresh Token: Refresh Token Not Found"), nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("auth: refresh: %w", err)
	}
	if p.Session.ID == "" && !p.User.Banned(m.now()) { // left over from before there were sessions
		err = store.DeleteRefreshToken(ctx, tx, r.Token)
	}
	if err == nil {
		refusal, err = m.refuseRefresh(ctx, tx, p, r.OAuthClientID)
	}
	if refusal != nil || err != nil {
		return nil, refusal, err
	}
	in = &issued{user: p.User, session: p.Session, refresh: p.Active, ip: r.IP}
	recent := !m.now().After(p.RevokedAt.Add(time.Duration(m.cfg.RefreshReuseInterval) * time.Second))
	switch {
	case p.Key != "" && p.Revoked && p.Active == "" && recent: // the session went on to counted tokens a moment ago
		err = m.counted(in, p.Key, p.Counter)
	case p.Key != "" && p.Revoked && p.Active == "":
		return m.refuseReuse(ctx, tx, p)
	case !p.Revoked && m.cfg.Refresh.upgrades(p.Session.ID):
		in.reuse = "false"
		if p.Key, err = m.newKey(p.Session.ID); err == nil {
			err = m.counted(in, p.Key, 0)
		}
		if err == nil {
			err = store.SetCounter(ctx, tx, p.Session.ID, p.Key, 0)
		}
	case p.Revoked && p.Active != "" && p.ActiveParent == r.Token:
	case p.Revoked && (p.Active == "" || !recent):
		refusal = badRequest(codeRefreshUsed, "Invalid Refresh Token: Already Used")
		if m.cfg.RefreshRotation {
			m.deps.Log.WarnContext(ctx, "refresh token was used again; its session's tokens are revoked", "session_id", p.Session.ID, "user_id", p.User.ID)
			err = store.RevokeFamily(ctx, tx, p.Session.ID)
		}
		return nil, refusal, err
	default: // a token that is not revoked comes here when a setting asks for more than one statement looks at
		in.refresh, in.reuse = r.Next, "false"
		if err := store.InsertRefreshToken(ctx, tx, p, r.Token, r.Next); err != nil {
			return nil, nil, err
		}
		if err := m.audit(ctx, tx, p.User, actionTokenRevoked, nil); err != nil {
			return nil, nil, err
		}
	}
	if err == nil {
		err = m.audit(ctx, tx, p.User, actionTokenRefreshed, nil)
	}
	if err != nil {
		return nil, nil, err
	}
	return in, nil, store.TouchSession(ctx, tx, p.Session.ID, r.UserAgent, r.IP)
}

// refuseRefresh says why the token's user or session may not go on, or not with the app that asks.
func (m *Module) refuseRefresh(ctx context.Context, q db.Queryer, p *store.Presented, oauthClientID string) (refusal, err error) {
	switch {
	case p.User.Banned(m.now()):
		return badRequest(codeUserBanned, "Invalid Refresh Token: User Banned"), nil
	case p.Session.ID == "":
		return badRequest(codeSessionNotFound, "Invalid Refresh Token: No Valid Session Found"), nil
	}
	if why := m.expired(p.User, p.Session); why != "" {
		return badRequest(codeSessionExpired, "Invalid Refresh Token: "+why), nil
	}
	if refusal := foreignClient(p.Session, oauthClientID); refusal != nil {
		return refusal, nil
	}
	newer, err := m.replaced(ctx, q, p)
	if newer {
		refusal = badRequest(codeSessionExpired, "Invalid Refresh Token: Session Expired (Revoked by Newer Login)")
	}
	return refusal, err
}

// foreignClient refuses an app other than the session's.
func foreignClient(s *store.Session, oauthClientID string) error {
	switch s.OAuthClientID {
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
