package auth

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/modules/auth/token"
	"github.com/madbase/madbase/platform/db"
)

// SessionsConfig bounds sessions beyond their length.
type SessionsConfig struct {
	AllowLowAAL   time.Duration `env:"GOTRUE_SESSIONS_ALLOW_LOW_AAL" default:"0s" doc:"How long a user with a second factor may have a session without using it; 0 is no limit." group:"optional"`
	SinglePerUser bool          `env:"GOTRUE_SESSIONS_SINGLE_PER_USER" default:"false" doc:"Refresh only the session of a user that was used last, of each tag." group:"optional"`
	Tags          []string      `env:"GOTRUE_SESSIONS_TAGS" doc:"Kinds of sessions for GOTRUE_SESSIONS_SINGLE_PER_USER, comma separated. A session's is in auth.sessions.tag, which a trigger of the app's writes; one of no known kind is of the first." group:"optional"`
}

// Validate names each faulty setting.
func (c SessionsConfig) Validate() error {
	if c.AllowLowAAL < 0 {
		return errors.New("GOTRUE_SESSIONS_ALLOW_LOW_AAL must not be negative")
	}
	return nil
}

// plain reports whether no setting asks to look at more than the session itself.
func (c SessionsConfig) plain() bool { return c.AllowLowAAL == 0 && !c.SinglePerUser }

// tag is the kind that a session counts as.
func (c SessionsConfig) tag(s *store.Session) string {
	if len(c.Tags) == 0 {
		return ""
	}
	if slices.Contains(c.Tags, s.Tag) {
		return s.Tag
	}
	return c.Tags[0]
}

// expired says why a session is over, or nothing when it is not.
func (m *Module) expired(user *store.User, s *store.Session) string {
	now := m.now()
	switch {
	case s.NotAfter != nil && now.After(*s.NotAfter):
		return "Session Expired"
	case m.cfg.SessionsTimebox > 0 && now.After(s.CreatedAt.Add(m.cfg.SessionsTimebox)):
		return "Session Expired"
	case m.cfg.SessionsInactivity > 0 && now.After(s.RefreshedAt.Add(m.cfg.SessionsInactivity)):
		return "Session Expired (Inactivity)"
	case m.lacksFactor(user, s.AAL) && now.After(s.CreatedAt.Add(m.cfg.Sessions.AllowLowAAL)):
		return "Session Expired (Low AAL: User Needs MFA Verification)"
	}
	return ""
}

// lacksFactor reports whether a limit holds for the session, as the user has a
// second factor and has not used it.
func (m *Module) lacksFactor(user *store.User, aal string) bool {
	return m.cfg.Sessions.AllowLowAAL > 0 && aal < token.AAL2 && user.HasSecondFactor()
}

// accessEnd is when an access token that is given now ends.
func (m *Module) accessEnd(user *store.User, s *store.Session) time.Time {
	end := m.now().Add(time.Duration(m.cfg.JWTExp) * time.Second)
	if m.lacksFactor(user, token.Level(s.Methods)) {
		if soon := s.CreatedAt.Add(m.cfg.Sessions.AllowLowAAL); soon.Before(end) {
			end = soon
		}
	}
	return end
}

// maxRivals bounds how many sessions of one user are looked at.
const maxRivals = 1000

// replaced reports whether a setting lets a user have one session and another
// one was used since.
func (m *Module) replaced(ctx context.Context, q db.Queryer, p *store.Presented) (bool, error) {
	if !m.cfg.Sessions.SinglePerUser {
		return false, nil
	}
	rivals, err := store.NewerSessions(ctx, q, p.User.ID, p.Session, maxRivals)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(rivals, func(s *store.Session) bool {
		return m.expired(p.User, s) == "" && m.cfg.Sessions.tag(s) == m.cfg.Sessions.tag(p.Session)
	}), nil
}
