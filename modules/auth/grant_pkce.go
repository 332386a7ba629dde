package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

// pkce are the parameters of a flow that ends in a code (RFC 7636, section 4.3),
// to be embedded in the body that has them. Both are empty in a flow that ends in tokens.
type pkce struct {
	CodeChallenge       string `json:"code_challenge"`
	CodeChallengeMethod string `json:"code_challenge_method"`
}

// pkceOf reads them from a query.
func pkceOf(q url.Values) pkce {
	return pkce{CodeChallenge: q.Get("code_challenge"), CodeChallengeMethod: q.Get("code_challenge_method")}
}

// asked reports whether the flow ends in a code.
func (p pkce) asked() bool { return p.CodeChallenge != "" }

// The lengths of a challenge (RFC 7636, section 4.2).
const (
	minChallenge = 43
	maxChallenge = 128
)

var challengePattern = regexp.MustCompile(`^[a-zA-Z0-9._~-]+$`)

// check refuses parameters that no verifier could answer to.
func (p pkce) check() error {
	switch {
	case (p.CodeChallenge == "") != (p.CodeChallengeMethod == ""):
		return invalid("PKCE flow requires code_challenge_method and code_challenge")
	case p.CodeChallenge == "":
		return nil
	case len(p.CodeChallenge) < minChallenge || len(p.CodeChallenge) > maxChallenge:
		return invalid(fmt.Sprintf("code challenge has to be between %d and %d characters", minChallenge, maxChallenge))
	case !challengePattern.MatchString(p.CodeChallenge):
		return invalid("code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes")
	}
	if method := strings.ToLower(p.CodeChallengeMethod); method != challengeS256 && method != challengePlain {
		return invalid(fmt.Sprintf("unsupported code_challenge method %q", p.CodeChallengeMethod))
	}
	return nil
}

// Methods of a challenge, as flow_state has them.
const (
	challengeS256  = "s256"
	challengePlain = "plain"
)

// answersChallenge reports whether verifier is what challenge was made from, by
// the method that the flow began with and no other (RFC 7636, section 4.6).
func answersChallenge(challenge, method, verifier string) bool {
	switch strings.ToLower(method) {
	case challengeS256:
		sum := sha256.Sum256([]byte(verifier))
		verifier = base64.RawURLEncoding.EncodeToString(sum[:])
	case challengePlain:
	default:
		return false
	}
	return challenge != "" && subtle.ConstantTimeCompare([]byte(challenge), []byte(verifier)) == 1
}

// newFlow adds a flow with a new id, unless f has one, and, where p asks for it, a new code. f says
// of whom, where and how: UserID, ProviderType, AuthenticationMethod and what
// else is known.
func (m *Module) newFlow(ctx context.Context, q db.Queryer, f store.FlowState, p pkce) (*store.FlowState, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	f.ID = cmp.Or(f.ID, uuid.NewString())
	if p.asked() {
		f.AuthCode, f.CodeChallenge, f.CodeChallengeMethod = uuid.NewString(), p.CodeChallenge, strings.ToLower(p.CodeChallengeMethod)
	}
	if err := store.InsertFlowState(ctx, q, &f, m.flowMemory()); err != nil {
		return nil, fmt.Errorf("auth: begin flow: %w", err)
	}
	return &f, nil
}

// flowMemory is how long flows are kept: until no link in a mail leads on to one, and
// a day more in which a late answer hears why.
func (m *Module) flowMemory() time.Duration {
	return 24*time.Hour + m.mailCodeLife() + max(m.cfg.Flow.StateExpiry, minFlowExpiry)
}

// minFlowExpiry is the life of a flow below which GoTrue lets no setting go.
const minFlowExpiry = 5 * time.Minute

// flowExpired reports whether a flow has lasted too long. That of a magic link
// has its time from the moment that the link was opened.
func (m *Module) flowExpired(f *store.FlowState) bool {
	since := f.CreatedAt
	if f.AuthCodeIssuedAt != nil && f.AuthenticationMethod == methodMagicLink {
		since = *f.AuthCodeIssuedAt
	}
	return m.now().After(since.Add(max(m.cfg.Flow.StateExpiry, minFlowExpiry)))
}

// codeSessionBody is the answer to a code: after a sign-in at a provider it has the provider's tokens too.
type codeSessionBody struct {
	sessionBody
	ProviderToken        string `json:"provider_token,omitempty"`
	ProviderRefreshToken string `json:"provider_refresh_token,omitempty"`
}

// grantPKCE exchanges a flow's code for a session, once, and only for who has the
// verifier of the flow's challenge.
func (m *Module) grantPKCE(c echo.Context) error {
	var req struct {
		AuthCode     string `json:"auth_code"`
		CodeVerifier string `json:"code_verifier"`
	}
	if err := readBody(c, &req); err != nil {
		return err
	}
	if req.AuthCode == "" || req.CodeVerifier == "" {
		return invalid("invalid request: both auth code and code verifier should be non-empty")
	}
	ctx := c.Request().Context()
	var flow *store.FlowState
	var in *issued
	err := m.transact(ctx, func(tx pgx.Tx) (err error) {
		if flow, err = m.redeemCode(ctx, tx, req.AuthCode, req.CodeVerifier); err != nil {
			return err
		}
		user, err := store.UserByID(ctx, tx, flow.UserID)
		if err != nil {
			return err
		}
		if user.Banned(m.now()) {
			return forbidden(codeUserBanned, "User is banned")
		}
		if err := m.audit(ctx, tx, user, actionLogin, map[string]any{"provider_type": flow.ProviderType}); err != nil {
			return err
		}
		end, err := store.FlowEnd(ctx, tx, flow)
		if err != nil {
			return err
		}
		in, err = m.startSession(ctx, tx, user, entry{method: flow.AuthenticationMethod, notAfter: end}, m.client(c.Request()))
		return err
	})
	if errors.Is(err, store.ErrNotFound) { // the code, or its user in the meantime
		return apierr.New(http.StatusNotFound, codeFlowNotFound, "invalid flow state, no valid flow state found")
	}
	if err != nil {
		return databaseError("Database error granting user", err)
	}
	return httpx.JSON(c, http.StatusOK, codeSessionBody{m.answer(c, in), flow.ProviderAccessToken, flow.ProviderRefreshToken})
}

// redeemCode takes a flow away whose code and challenge are answered, or says
// store.ErrNotFound. A wrong verifier leaves it.
func (m *Module) redeemCode(ctx context.Context, q db.Queryer, code, verifier string) (*store.FlowState, error) {
	flow, err := store.FlowStateByCode(ctx, q, code)
	switch {
	case err != nil:
		return nil, err
	case flow.UserID == "":
		return nil, store.ErrNotFound
	case m.flowExpired(flow):
		return nil, unprocessable(codeFlowExpired, "invalid flow state, flow state has expired")
	case !answersChallenge(flow.CodeChallenge, flow.CodeChallengeMethod, verifier):
		return nil, badRequest(codeBadCodeVerifier, "code challenge does not match previously saved code verifier")
	}
	return flow, store.DeleteFlowState(ctx, q, flow.ID)
}
