package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/project"
)

// idTokenLife is how long an ID token may be shown: it tells of a sign-in, once.
const idTokenLife = time.Hour

// idTokenClaims are an ID token's payload (OpenID Connect Core, section 2), as
// GoTrue fills it.
type idTokenClaims struct {
	Issuer              string `json:"iss"`
	Subject             string `json:"sub"`
	Audience            string `json:"aud"`
	ExpiresAt           int64  `json:"exp"`
	IssuedAt            int64  `json:"iat"`
	Nonce               string `json:"nonce,omitempty"`
	AuthTime            int64  `json:"auth_time"`
	Email               string `json:"email,omitempty"`
	EmailVerified       bool   `json:"email_verified"`
	PhoneNumber         string `json:"phone_number,omitempty"`
	PhoneNumberVerified bool   `json:"phone_number_verified"`
	Name                string `json:"name,omitempty"`
	Picture             string `json:"picture,omitempty"`
	UpdatedAt           int64  `json:"updated_at,omitempty"`
	PreferredUsername   string `json:"preferred_username,omitempty"`
	ClientID            string `json:"client_id"`
}

// idToken tells the app of a session who signed in, as far as its scopes go.
// There is none while tokens are signed with a shared secret: an app cannot
// verify such a one without being able to make any other.
func (m *Module) idToken(ctx context.Context, in *issued, nonce string) (string, error) {
	p, now, user := project.From(ctx), m.now(), in.user
	if !p.Keys.Asymmetric() {
		m.deps.Log.WarnContext(ctx, "no ID token was given: it needs an asymmetric signing key in JWT_KEYS", "client_id", in.session.OAuthClientID)
		return "", nil
	}
	scopes := strings.Fields(in.session.Scopes)
	claims := idTokenClaims{
		Issuer: m.issuer(p), Subject: user.ID, Audience: in.session.OAuthClientID, ClientID: in.session.OAuthClientID,
		IssuedAt: now.Unix(), ExpiresAt: now.Add(idTokenLife).Unix(), AuthTime: in.session.CreatedAt.Unix(), Nonce: nonce,
	}
	if slices.Contains(scopes, scopeEmail) {
		claims.Email, claims.EmailVerified = user.Email, user.EmailConfirmedAt != nil
	}
	if slices.Contains(scopes, scopePhone) {
		claims.PhoneNumber, claims.PhoneNumberVerified = user.Phone, user.PhoneConfirmedAt != nil
	}
	if slices.Contains(scopes, scopeProfile) {
		shown := profileOf(user)
		claims.Name, claims.Picture, claims.PreferredUsername, claims.UpdatedAt = shown.name, shown.picture, shown.username, user.UpdatedAt.Unix()
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	return p.Keys.Sign(payload)
}

// profile is what the scope of that name shows of a user.
type profile struct {
	name, picture, username string
	metadata                map[string]any
}

// profileOf reads the metadata under the names that providers use.
func profileOf(user *store.User) profile {
	p := profile{}
	_ = json.Unmarshal(user.UserMetadata, &p.metadata) // whatever is not an object shows nothing
	text := func(names ...string) string {
		for _, name := range names {
			if value, _ := p.metadata[name].(string); value != "" {
				return value
			}
		}
		return ""
	}
	if p.name = text("name"); p.name == "" {
		p.name = user.Email
	}
	p.picture, p.username = text("picture", "avatar_url"), text("preferred_username", "username")
	return p
}

// oauthUserInfo answers GET /oauth/userinfo (OpenID Connect Core, section 5.3)
// with what the session's scopes show of the user.
func (m *Module) oauthUserInfo(c echo.Context, who signedIn) error {
	user, scopes := who.user, strings.Fields(who.session.Scopes)
	info := map[string]any{"sub": user.ID}
	put := func(name, value string) {
		if value != "" {
			info[name] = value
		}
	}
	if slices.Contains(scopes, scopeEmail) {
		put("email", user.Email)
		if user.EmailConfirmedAt != nil {
			info["email_verified"] = true
		}
	}
	if slices.Contains(scopes, scopeProfile) {
		shown := profileOf(user)
		put("name", shown.name)
		put("picture", shown.picture)
		put("preferred_username", shown.username)
		info["updated_at"] = user.UpdatedAt.Unix()
		if shown.metadata != nil {
			info["user_metadata"] = shown.metadata
		}
	}
	if slices.Contains(scopes, scopePhone) {
		put("phone", user.Phone)
		if user.PhoneConfirmedAt != nil {
			info["phone_verified"] = true
		}
	}
	noStore(c)
	return httpx.JSON(c, http.StatusOK, info)
}
