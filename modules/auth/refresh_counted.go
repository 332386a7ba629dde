package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/modules/auth/token"
	"github.com/madbase/madbase/platform/db"
)

// RefreshConfig chooses the kind of refresh tokens.
type RefreshConfig struct {
	Version           int  `env:"GOTRUE_SECURITY_REFRESH_TOKEN_ALGORITHM_VERSION" default:"0" doc:"Kind of new refresh tokens: 2 are signed and counted, anything less are random and kept in a table. Both are always taken." group:"optional"`
	UpgradePercentage int  `env:"GOTRUE_SECURITY_REFRESH_TOKEN_UPGRADE_PERCENTAGE" default:"0" doc:"With version 2: how many of a hundred older sessions get tokens of that kind when they refresh." group:"optional"`
	AllowReuse        bool `env:"GOTRUE_SECURITY_REFRESH_TOKEN_ALLOW_REUSE" default:"false" doc:"Take counted refresh tokens again however old they are. Stolen ones, too." group:"optional"`
}

// Validate names each faulty setting.
func (c RefreshConfig) Validate() error {
	var errs []error
	if c.Version < 0 || c.Version > 2 {
		errs = append(errs, errors.New("GOTRUE_SECURITY_REFRESH_TOKEN_ALGORITHM_VERSION must be 0, 1 or 2"))
	}
	if c.UpgradePercentage < 0 || c.UpgradePercentage > 100 {
		errs = append(errs, errors.New("GOTRUE_SECURITY_REFRESH_TOKEN_UPGRADE_PERCENTAGE must be from 0 to 100"))
	}
	return errors.Join(errs...)
}

// countedVersion is the kind of tokens that are signed and counted.
const countedVersion = 2

// upgrades reports whether a session's next refresh token is to be a counted one:
// of each session always the same, so that the share is one of sessions.
func (c RefreshConfig) upgrades(sessionID string) bool {
	return c.Version == countedVersion && int(crc32.ChecksumIEEE([]byte(sessionID))%100) < c.UpgradePercentage
}

// counted gives in its refresh token of the counter, by the session's stored key.
func (m *Module) counted(in *issued, storedKey string, counter int64) error {
	key, err := m.sessionKey(in.session.ID, storedKey)
	if err != nil {
		return err
	}
	id, err := uuid.Parse(in.session.ID)
	if err != nil {
		return fmt.Errorf("auth: session id: %w", err)
	}
	in.refresh, in.counter = token.NewCounted(id, counter, key), &counter
	return nil
}

func (m *Module) sessionKey(sessionID, stored string) ([]byte, error) {
	text, err := m.box.Open(sessionID, stored)
	if err != nil {
		return nil, fmt.Errorf("auth: key of session: %w", err)
	}
	key, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(key) == 0 {
		return nil, errors.New("auth: key of session: it is none")
	}
	return key, nil
}

// newKey returns the key of a new line of counted tokens, as it is stored.
func (m *Module) newKey(sessionID string) (string, error) {
	key, err := m.box.Seal(sessionID, token.NewKey())
	if err != nil {
		return "", fmt.Errorf("auth: key of session: %w", err)
	}
	return key, nil
}

// recount begins a new line of counted tokens for a session that was raised and
// so lost its earlier one. GoTrue skips a number of the line instead, after which
// tokens of before are still taken within the reuse interval.
func (m *Module) recount(ctx context.Context, q db.Queryer, in *issued) error {
	if m.cfg.Refresh.Version != countedVersion {
		return nil
	}
	key, err := m.newKey(in.session.ID)
	if err == nil {
		err = m.counted(in, key, 0)
	}
	if err != nil {
		return err
	}
	return store.SetCounter(ctx, q, in.session.ID, key, 0)
}

// rotateCounted exchanges a counted refresh token. The newest gets the next one.
// An older one gets the newest again when it is the one before, as of a client
// that missed the answer, or when the session was refreshed a moment ago, as by
// several tabs at once. Else someone has a stolen one: with rotation on the
// session ends.
func (m *Module) rotateCounted(ctx context.Context, tx pgx.Tx, c token.Counted, r store.Refresh) (in *issued, refusal, err error) {
	unknown := badRequest(codeRefreshNotFound, "Invalid Refresh Token: Refresh Token Not Found")
	p, err := store.InspectSession(ctx, tx, c.SessionID)
	if errors.Is(err, store.ErrNotFound) || err == nil && p.Key == "" {
		return nil, unknown, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("auth: refresh: %w", err)
	}
	key, err := m.sessionKey(p.Session.ID, p.Key)
	if err != nil {
		return nil, nil, err
	}
	if !c.SignedBy(key) {
		return nil, unknown, nil
	}
	if refusal, err = m.refuseRefresh(ctx, tx, p, r.OAuthClientID); refusal != nil || err != nil {
		return nil, refusal, err
	}
	in = &issued{user: p.User, session: p.Session, ip: r.IP}
	next := p.Counter
	switch behind := p.Counter - c.Counter; {
	case behind < 0:
		return nil, invalid("Invalid Refresh Token: Not Issued By This Server"), nil
	case behind == 0:
		next, in.reuse = p.Counter+1, "false"
	default:
		if in.cause = m.reuseCause(behind, p.Session.RefreshedAt); in.cause == "" {
			return m.refuseReuse(ctx, tx, p)
		}
	}
	if err := m.counted(in, p.Key, next); err != nil {
		return nil, nil, err
	}
	if err := store.SetCounter(ctx, tx, p.Session.ID, p.Key, next); err != nil {
		return nil, nil, err
	}
	if err := m.audit(ctx, tx, p.User, actionTokenRefreshed, nil); err != nil {
		return nil, nil, err
	}
	return in, nil, store.TouchSession(ctx, tx, p.Session.ID, r.UserAgent, r.IP)
}

// reuseCause says in GoTrue's words why an exchanged token is taken again, empty when it is not.
func (m *Module) reuseCause(behind int64, refreshed time.Time) string {
	var causes []string
	if m.now().Sub(refreshed).Abs() < time.Duration(m.cfg.RefreshReuseInterval)*time.Second {
		causes = append(causes, "concurrent-refresh")
	}
	if behind == 1 {
		causes = append(causes, "fail-to-save")
	}
	if m.cfg.Refresh.AllowReuse {
		causes = append(causes, "always-allow")
	}
	return strings.Join(causes, ",")
}

// refuseReuse refuses a token that was exchanged too long ago, and with rotation on ends its session.
func (m *Module) refuseReuse(ctx context.Context, tx pgx.Tx, p *store.Presented) (*issued, error, error) {
	refusal := badRequest(codeRefreshUsed, "Invalid Refresh Token: Already Used")
	if !m.cfg.RefreshRotation {
		return nil, refusal, nil
	}
	m.deps.Log.WarnContext(ctx, "refresh token was used again; its session has ended", "session_id", p.Session.ID, "user_id", p.User.ID)
	return nil, refusal.WithHeader("Sb-Auth-Refresh-Token-Rotated", "true"), store.DeleteSession(ctx, tx, p.Session.ID)
}
