package auth

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/modules/auth/hook"
	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/token"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/project"
)

// rehearsal is what passes between the runs of a transaction that asks the app's
// hooks over HTTP (see transact): what a run has made up, for the next to take the
// same, and what the hooks have answered.
type rehearsal struct {
	// ask is what the run came to and is to be done before the next.
	ask func(context.Context) error
	// done are the audit entries that the log has, and what was counted against a limit.
	done map[string]bool
	// userID and sessionID are those of whoever is made and of the session that is.
	userID, sessionID string
	// codes are those in mails, by their addresses.
	codes map[string]oneTime
	// mailed is the kind of the mail that the hook has taken, empty for none.
	mailed mail.Kind
	// addressee is whose mails of the kind wait for this one, empty for nobody's.
	addressee string
	// claims are those that the hook was told and payload is its answer; nil for none.
	claims  *token.Claims
	payload []byte
}

// errRehearsed ends a run that has come to a hook over HTTP.
var errRehearsed = errors.New("auth: the app's hook is to be asked first")

// transact runs fn in a transaction, as pgx.BeginFunc does: for all that may send
// a mail (sendMail) or make an access token (mint), one of each at most. Where the
// app's hook is asked over HTTP, no transaction is open while it takes its time,
// and yet nothing stays of what it refuses: fn runs up to there and is undone,
// the hook is asked, and then fn runs again, to the same end. So fn must begin
// anew each time. It runs three times at most: each hook is asked so once. GoTrue
// keeps its transaction open all the while.
func (m *Module) transact(ctx context.Context, fn func(tx pgx.Tx) error) error {
	pool, slip := project.From(ctx).DB.Auth, slipOf(ctx)
	if !m.hooks.Remote(hook.SendEmail) && !m.hooks.Remote(hook.CustomAccessToken) {
		return pgx.BeginFunc(ctx, pool, fn)
	}
	r := &rehearsal{userID: uuid.NewString(), sessionID: uuid.NewString(), codes: map[string]oneTime{}, done: map[string]bool{}}
	slip.rehearsal = r
	defer func() {
		slip.rehearsal = nil
		m.hooked.Delete(r.addressee)
	}()
	for {
		if err := pgx.BeginFunc(ctx, pool, fn); !errors.Is(err, errRehearsed) {
			return err
		}
		if err := r.ask(ctx); err != nil {
			return err
		}
	}
}

// again reports whether a run before has done what is not undone with its
// transaction, and notes that it is done now.
func (s *mailSlip) again(what string) bool {
	if s.rehearsal == nil {
		return false
	}
	was := s.rehearsal.done[what]
	s.rehearsal.done[what] = true
	return was
}

// hookToken has the app's hook over HTTP change the claims of an access token: its
// answer to the run before, where that was about the same. Where it was not, as
// when a trigger of the app's gives each new row another number, the hook is
// asked again, and q is open meanwhile.
func (m *Module) hookToken(ctx context.Context, q db.Queryer, claims *token.Claims, method, ip string) ([]byte, error) {
	r := slipOf(ctx).rehearsal
	switch {
	case r == nil:
		return nil, errors.New("auth: access token: the transaction is none of transact's")
	case r.claims == nil:
		r.ask = func(ctx context.Context) (err error) {
			r.claims = claims
			r.payload, err = m.askToken(ctx, project.From(ctx).DB.Auth, claims, method, ip)
			return err
		}
		return nil, errRehearsed
	case sameButTimes(*r.claims, *claims):
		*claims = *r.claims
		return r.payload, nil
	}
	return m.askToken(ctx, q, claims, method, ip)
}

// sameButTimes reports whether two tokens say the same, whenever they were made.
func sameButTimes(a, b token.Claims) bool {
	sameMethods := slices.EqualFunc(a.Methods, b.Methods, func(a, b token.Method) bool { return a.Method == b.Method && a.Provider == b.Provider })
	return sameMethods && a.Issuer == b.Issuer && a.Subject == b.Subject && a.Audience == b.Audience && a.Email == b.Email && a.Phone == b.Phone &&
		string(a.AppMetadata) == string(b.AppMetadata) && string(a.UserMetadata) == string(b.UserMetadata) && a.Role == b.Role && a.AAL == b.AAL &&
		a.SessionID == b.SessionID && a.IsAnonymous == b.IsAnonymous && a.ClientID == b.ClientID && a.Scope == b.Scope
}
