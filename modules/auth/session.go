package auth

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
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
	methodAnonymous   = "anonymous"
	methodEmailChange = "email_change"
	methodInvite      = "invite"
	methodMagicLink   = "magiclink"
	methodOAuth       = "oauth"
	methodOAuthServer = "oauth_provider/authorization_code"
	methodOTP         = "otp"
	methodPasskey     = "passkey"
	methodPassword    = "password"
	methodPhone       = "mfa/phone"
	methodRecovery    = "recovery"
	methodRefresh     = "token_refresh"
	methodSignup      = "email/signup"
	methodSSO         = "sso/saml"
	methodTOTP        = "totp"
	methodWebAuthn    = "mfa/webauthn"
	methodWeb3        = "web3"
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

// entry is how a user comes in: what a new session is told of it.
type entry struct {
	// method is one of the claim amr's names.
	method string
	// factorID is the second factor that was used, empty for none.
	factorID string
	// notAfter is when the session ends whatever the settings say, as an identity provider may ask for.
	notAfter *time.Time
	// oauthClientID and scopes are those of an app's session, and sessionID the id
	// that it is to have: its authorization's, by which it is found again.
	oauthClientID, scopes, sessionID string
}

// issued is a session with the tokens that carry it. It is made in a transaction
// and answered after the commit.
type issued struct {
	// method is what the access token is given for, one of a few words.
	method  string
	user    *store.User
	session *store.Session
	// refresh and access are the tokens; expires is the access token's end.
	refresh, access string
	expires         time.Time
	// ip is the client's address, for the app's hook.
	ip string
	// reuse says of a refresh whether an exchanged token was taken again, as GoTrue's header does; empty for no word on it.
	reuse string
	// cause is why it was, and counter the place of a counted token in its line.
	cause   string
	counter *int64
}

// startSession signs the user in: the only place that makes sessions. Call it in
// a transaction of transact's; who is the request's client. The user's factors and identities
// must be loaded, as store's functions do.
func (m *Module) startSession(ctx context.Context, q db.Queryer, user *store.User, e entry, who client) (*issued, error) {
	if r := slipOf(ctx).rehearsal; r != nil && e.sessionID == "" {
		e.sessionID = r.sessionID
	}
	if e.sessionID == "" {
		e.sessionID = uuid.NewString()
	}
	refresh, key, err := token.NewRefresh(), "", error(nil)
	if m.cfg.Refresh.Version == countedVersion {
		if key, err = m.newKey(e.sessionID); err != nil {
			return nil, err
		}
	}
	methods := []token.Method{{Method: e.method}}
	session, err := store.InsertSession(ctx, q, store.NewSession{
		ID: e.sessionID, UserID: user.ID, Method: e.method, AAL: token.Level(methods), FactorID: e.factorID, NotAfter: e.notAfter,
		OAuthClientID: e.oauthClientID, Scopes: e.scopes, RefreshToken: refresh, Key: key, UserAgent: who.userAgent, IP: who.ip,
	})
	if err != nil {
		return nil, fmt.Errorf("auth: start session: %w", err)
	}
	user.LastSignInAt = &session.CreatedAt
	in := &issued{user: user, session: session, refresh: refresh, ip: who.ip}
	if key != "" {
		if err := m.counted(in, key, 0); err != nil {
			return nil, err
		}
	}
	return in, m.mint(ctx, q, in, e.method)
}

// mint makes the session's access token. method says what it is given for: a way
// of signing in, or token_refresh. Call it in the transaction, one of
// transact's, that makes or changes the session, so that nothing of it stays when no token can be had.
func (m *Module) mint(ctx context.Context, q db.Queryer, in *issued, method string) error {
	p, now, user, session := project.From(ctx), m.now(), in.user, in.session
	in.method = method
	in.expires = m.accessEnd(user, session)
	claims := &token.Claims{
		Issuer: m.issuer(p), Subject: user.ID, Audience: user.Audience, ExpiresAt: in.expires.Unix(), IssuedAt: now.Unix(),
		Email: user.Email, Phone: user.Phone, AppMetadata: user.AppMetadata, UserMetadata: user.UserMetadata, Role: user.Role,
		AAL: token.Level(session.Methods), Methods: methodsOf(user, session), SessionID: session.ID, IsAnonymous: user.IsAnonymous,
		ClientID: session.OAuthClientID, Scope: session.Scopes,
	}
	payload, err := m.tokenPayload(ctx, q, claims, method, in.ip)
	if err != nil {
		return err
	}
	if claims.ExpiresAt != in.expires.Unix() { // the hook was told of an earlier run's
		in.expires = time.Unix(claims.ExpiresAt, 0)
	}
	if in.access, err = p.Keys.Sign(payload); err != nil {
		return fmt.Errorf("auth: access token: %w", err)
	}
	return nil
}

// methodsOf are the session's ways of signing in, where that by single sign-on
// names its provider.
func methodsOf(user *store.User, session *store.Session) []token.Method {
	methods := slices.Clone(session.Methods)
	for i := range methods {
		if methods[i].Method == methodSSO && len(user.Identities) == 1 {
			if id, ok := strings.CutPrefix(user.Identities[0].Provider, "sso:"); ok {
				methods[i].Provider = id
			}
		}
	}
	if methods == nil {
		methods = []token.Method{}
	}
	return methods
}

// answer makes the body of a session's answer and sets GoTrue's headers. Call it
// after the commit.
func (m *Module) answer(c echo.Context, in *issued) sessionBody {
	m.deps.Metrics.GetOrCreateCounter(`madbase_auth_access_tokens_total{method="` + in.method + `"}`).Inc()
	h := c.Response().Header()
	h.Set("Sb-Auth-User-Id", in.user.ID)
	h.Set("Sb-Auth-Session-Id", in.session.ID)
	if in.counter != nil {
		h.Set("Sb-Auth-Refresh-Token-Counter", strconv.FormatInt(*in.counter, 10))
	} else {
		h.Set("Sb-Auth-Refresh-Token-Prefix", in.refresh[:5])
	}
	if in.cause != "" {
		h.Set("Sb-Auth-Refresh-Token-Reuse-Cause", in.cause)
	}
	if in.reuse != "" {
		h.Set("Sb-Auth-Refresh-Token-Reuse", in.reuse)
	}
	return sessionBody{
		AccessToken: in.access, TokenType: "bearer", ExpiresIn: m.secondsLeft(in),
		ExpiresAt: in.expires.Unix(), RefreshToken: in.refresh, User: in.user,
	}
}

// secondsLeft is the life of the access token from now on.
func (m *Module) secondsLeft(in *issued) int64 {
	return int64(in.expires.Sub(m.now()).Round(time.Second) / time.Second)
}

// respond writes the answer of a sign-in.
func (m *Module) respond(c echo.Context, in *issued) error {
	return httpx.JSON(c, http.StatusOK, m.answer(c, in))
}

func (m *Module) issuer(p *project.Project) string {
	if m.cfg.JWTIssuer != "" {
		return m.cfg.JWTIssuer
	}
	return m.apiURL(p)
}
