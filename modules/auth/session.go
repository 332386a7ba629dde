package auth

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/password"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/modules/auth/token"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/project"
)

// Ways of signing in, as the claim amr names them.
const (
	methodPassword  = "password"
	methodAnonymous = "anonymous"
)

// sessionBody is the answer of every sign-in and refresh.
type sessionBody struct {
	AccessToken  string      `json:"access_token"`
	TokenType    string      `json:"token_type"`
	ExpiresIn    int64       `json:"expires_in"`
	ExpiresAt    int64       `json:"expires_at"`
	RefreshToken string      `json:"refresh_token"`
	User         *store.User `json:"user"`
}

// passwordSessionBody is the password grant's: its weak_password is there always, null for a good one.
type passwordSessionBody struct {
	sessionBody
	WeakPassword *password.Weakness `json:"weak_password"`
}

// startSession signs the user in by a method: the only place that makes sessions.
// Call it in a transaction; who is the request's client.
func startSession(ctx context.Context, q db.Queryer, user *store.User, method string, who client) (*store.Session, string, error) {
	refresh := token.NewRefresh()
	id, at, err := store.InsertSession(ctx, q, store.NewSession{
		UserID: user.ID, Method: method, RefreshToken: refresh, UserAgent: who.userAgent, IP: who.ip,
	})
	if err != nil {
		return nil, "", fmt.Errorf("auth: start session: %w", err)
	}
	user.LastSignInAt = &at
	methods := []token.Method{{Method: method, Timestamp: at.Unix()}}
	return &store.Session{ID: id, CreatedAt: at, RefreshedAt: at, AAL: token.AAL1, Methods: methods}, refresh, nil
}

// answer makes the body of a session's answer, with a new access token, and sets
// GoTrue's headers. Call it after the commit.
func (m *Module) answer(c echo.Context, user *store.User, session *store.Session, refresh string) (sessionBody, error) {
	p, now := projectOf(c), m.now()
	expires := now.Add(time.Duration(m.cfg.JWTExp) * time.Second)
	if session.Methods == nil {
		session.Methods = []token.Method{}
	}
	access, err := (&token.Claims{
		Issuer: m.issuer(p), Subject: user.ID, Audience: user.Audience, ExpiresAt: expires.Unix(), IssuedAt: now.Unix(),
		Email: user.Email, Phone: user.Phone, AppMetadata: user.AppMetadata, UserMetadata: user.UserMetadata, Role: user.Role,
		AAL: token.Level(session.Methods), Methods: session.Methods, SessionID: session.ID, IsAnonymous: user.IsAnonymous,
	}).Sign(p.Keys)
	if err != nil {
		return sessionBody{}, fmt.Errorf("auth: access token: %w", err)
	}
	h := c.Response().Header()
	h.Set("Sb-Auth-User-Id", user.ID)
	h.Set("Sb-Auth-Session-Id", session.ID)
	h.Set("Sb-Auth-Refresh-Token-Prefix", refresh[:5])
	return sessionBody{
		AccessToken: access, TokenType: "bearer", ExpiresIn: int64(m.cfg.JWTExp), ExpiresAt: expires.Unix(), RefreshToken: refresh, User: user,
	}, nil
}

// respond writes the answer of a sign-in.
func (m *Module) respond(c echo.Context, user *store.User, session *store.Session, refresh string) error {
	body, err := m.answer(c, user, session, refresh)
	if err != nil {
		return err
	}
	return httpx.JSON(c, http.StatusOK, body)
}

func (m *Module) issuer(p *project.Project) string {
	if m.cfg.JWTIssuer != "" {
		return m.cfg.JWTIssuer
	}
	return p.PublicURL + "/auth/v1"
}

// expired says why a session is over, or nothing when it is not.
func (m *Module) expired(s *store.Session) string {
	now := m.now()
	switch {
	case s.NotAfter != nil && now.After(*s.NotAfter):
		return "Session Expired"
	case m.cfg.SessionsTimebox > 0 && now.After(s.CreatedAt.Add(m.cfg.SessionsTimebox)):
		return "Session Expired"
	case m.cfg.SessionsInactivity > 0 && now.After(s.RefreshedAt.Add(m.cfg.SessionsInactivity)):
		return "Session Expired (Inactivity)"
	}
	return ""
}
