package auth

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/hook"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/modules/auth/token"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/project"
)

// callHook sends the payload to the app's hook and reads its answer into out,
// which may be nil; nothing happens when the hook is off. A hook over HTTP may
// take seconds: call it outside of transactions. What makes its payload costly
// asks m.hooks.Enabled first.
func (m *Module) callHook(ctx context.Context, name hook.Name, payload, out any) error {
	return m.hooks.Call(ctx, project.From(ctx).DB.Auth, name, payload, out)
}

// hookAbout is the metadata of a call of the hook on behalf of the request.
func (m *Module) hookAbout(c echo.Context, name hook.Name) hook.Metadata {
	return hook.About(name, m.client(c.Request()).ip)
}

// beforeUser asks the app whether a user may be made. Call it before the
// transaction that makes them, wherever one is about to make themselves known or
// is invited: only users whom administrators make outright go without.
func (m *Module) beforeUser(c echo.Context, n store.NewUser) error {
	if !m.hooks.Enabled(hook.BeforeUserCreated) {
		return nil
	}
	app, err := json.Marshal(orNone(n.AppMetadata))
	if err != nil {
		return fmt.Errorf("auth: before user: %w", err)
	}
	own, err := json.Marshal(orNone(n.UserMetadata))
	if err != nil {
		return fmt.Errorf("auth: before user: %w", err)
	}
	now := m.now().UTC()
	user := &store.User{
		ID: n.ID, Audience: n.Audience, Email: n.Email, Phone: n.Phone, AppMetadata: app, UserMetadata: own,
		Identities: []store.Identity{}, CreatedAt: now, UpdatedAt: now, IsAnonymous: n.IsAnonymous,
	}
	return m.callHook(c.Request().Context(), hook.BeforeUserCreated, hook.UserInput{Metadata: m.hookAbout(c, hook.BeforeUserCreated), User: user}, nil)
}

func orNone(members map[string]any) map[string]any {
	if members == nil {
		return map[string]any{}
	}
	return members
}

// afterUser tells the app of a user who was made. Call it after the commit; the
// user stays also when the hook fails.
func (m *Module) afterUser(c echo.Context, user *store.User) error {
	return m.callHook(c.Request().Context(), hook.AfterUserCreated, hook.UserInput{Metadata: m.hookAbout(c, hook.AfterUserCreated), User: user}, nil)
}

// tokenPayload is an access token's payload, as the app's hook wants it: a function
// of the database, which sees what the transaction q has written, or one over HTTP,
// which is asked between two runs of it and may so set claims back to the first's.
func (m *Module) tokenPayload(ctx context.Context, q db.Queryer, claims *token.Claims, method, ip string) ([]byte, error) {
	switch {
	case m.hooks.Remote(hook.CustomAccessToken):
		return m.hookToken(ctx, q, claims, method, ip)
	case m.hooks.Enabled(hook.CustomAccessToken):
		return m.askToken(ctx, q, claims, method, ip)
	}
	return payloadOf(claims)
}

// askToken is the payload that the app's hook answers.
func (m *Module) askToken(ctx context.Context, q db.Queryer, claims *token.Claims, method, ip string) ([]byte, error) {
	var out hook.TokenOutput
	err := m.hooks.Call(ctx, q, hook.CustomAccessToken, hook.TokenInput{
		Metadata: hook.About(hook.CustomAccessToken, ip), UserID: claims.Subject, Claims: claims, Method: method,
	}, &out)
	if err == nil {
		err = out.Check()
	}
	if err != nil {
		return nil, err
	}
	return payloadOf(out.Claims)
}

func payloadOf(claims any) ([]byte, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return nil, fmt.Errorf("auth: access token: %w", err)
	}
	return payload, nil
}

// rejectedPassword is said when the app rejects an attempt without a word.
const rejectedPassword = "Further password verification attempts will be rejected."

// judgePassword asks the app about a try of a user's password; a refusal is an error.
func (m *Module) judgePassword(c echo.Context, user *store.User, valid bool) error {
	if user.ID == "" || !m.hooks.Enabled(hook.PasswordVerification) {
		return nil
	}
	ctx := c.Request().Context()
	var verdict hook.Verdict
	err := m.callHook(ctx, hook.PasswordVerification, hook.PasswordInput{
		Metadata: m.hookAbout(c, hook.PasswordVerification), UserID: user.ID, Valid: valid,
	}, &verdict)
	if err != nil || !verdict.Rejected() {
		return err
	}
	if verdict.Logout {
		if err := store.DeleteSessions(ctx, projectOf(c).DB.Auth, user.ID, ""); err != nil {
			return fmt.Errorf("auth: log out: %w", err)
		}
	}
	if verdict.Message == "" {
		verdict.Message = rejectedPassword
	}
	return badRequest(codeInvalidCredentials, verdict.Message)
}
