package auth

import (
	"context"
	"net/http"
	"time"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/ratelimit"
)

// mailedCode is what the code in a mail is stored as, and what a flow that ends
// in a code (PKCE) is called that waits for it.
type mailedCode struct {
	token store.OneTime
	flow  string
}

var mailedCodes = map[mail.Kind]mailedCode{
	mail.Confirmation:     {store.ConfirmationToken, methodSignup},
	mail.Invite:           {store.ConfirmationToken, methodInvite},
	mail.Recovery:         {store.RecoveryToken, methodRecovery},
	mail.MagicLink:        {store.RecoveryToken, methodMagicLink},
	mail.EmailChange:      {store.EmailChangeTokenNew, methodEmailChange},
	mail.Reauthentication: {store.ReauthenticationToken, ""},
}

// mailCode sends the user a new code of msg's kind to their address, with its
// link, and begins the flow that p asks for. All of it is undone with tx.
func (m *Module) mailCode(ctx context.Context, tx db.Queryer, msg mail.Message, p pkce) error {
	if err := m.mailFlow(ctx, tx, msg, p); err != nil {
		return err
	}
	code, user := m.newMailCode(ctx, msg.User.Email, p), msg.User
	msg.Token, msg.TokenHash = code.code, m.linkToken(ctx, code.hash)
	if err := m.sendMail(ctx, tx, msg); err != nil {
		return err
	}
	return store.PutOneTime(ctx, tx, store.NewOneTime{
		UserID: user.ID, Kind: mailedCodes[msg.Kind].token, RelatesTo: user.Email, Hash: code.hash,
	})
}

// mailFlow begins the flow of a message's link, where p asks for one.
func (m *Module) mailFlow(ctx context.Context, tx db.Queryer, msg mail.Message, p pkce) error {
	if !p.asked() {
		return nil
	}
	method := mailedCodes[msg.Kind].flow
	_, err := m.newFlow(ctx, tx, store.FlowState{UserID: msg.User.ID, ProviderType: method, AuthenticationMethod: method}, p)
	return err
}

// mailEmailChange asks the address that msg names as NewEmail, and by setting the
// user's present one too, to confirm that it becomes the user's.
func (m *Module) mailEmailChange(ctx context.Context, tx db.Queryer, msg mail.Message, p pkce) error {
	msg.Kind = mail.EmailChange
	if err := m.mailFlow(ctx, tx, msg, p); err != nil {
		return err
	}
	user := msg.User
	if err := store.BeginEmailChange(ctx, tx, user.ID, msg.NewEmail); err != nil {
		return err
	}
	fresh := m.newMailCode(ctx, msg.NewEmail, p)
	msg.TokenNew, msg.TokenHashNew = fresh.code, m.linkToken(ctx, fresh.hash)
	tokens := []store.NewOneTime{{UserID: user.ID, Kind: store.EmailChangeTokenNew, RelatesTo: msg.NewEmail, Hash: fresh.hash}}
	if m.bothConfirm(user) {
		current := m.newMailCode(ctx, user.Email, p)
		msg.Token, msg.TokenHash = current.code, m.linkToken(ctx, current.hash)
		tokens = append(tokens, store.NewOneTime{UserID: user.ID, Kind: store.EmailChangeTokenCurrent, RelatesTo: user.Email, Hash: current.hash})
	} else if err := store.DropOneTime(ctx, tx, user.ID, store.EmailChangeTokenCurrent); err != nil {
		return err
	}
	if err := m.sendMail(ctx, tx, msg); err != nil {
		return err
	}
	for _, t := range tokens {
		if err := store.PutOneTime(ctx, tx, t); err != nil {
			return err
		}
	}
	return nil
}

// bothConfirm reports whether a change of the user's address needs the present
// one's consent. GoTrue asks for it under autoconfirm too, but then takes either.
func (m *Module) bothConfirm(user *store.User) bool {
	return m.cfg.Flow.SecureEmailChange && !m.cfg.Autoconfirm && user.Email != ""
}

// mailNothing is for a request that sends nothing, because there is no such
// account or nothing to confirm: asked for again too soon, it is refused as it
// would be if a mail had left, and so it is where an address may get none or the
// server has none left, of which it takes one: else both would tell who is there.
func (m *Module) mailNothing(ctx context.Context, kind mail.Kind, address string) error {
	limit := ratelimit.Limit{Rate: 1, Period: m.cfg.Mail.Frequency()}
	err := m.take(ctx, "unsent/"+string(kind)+"/"+address, limit, func(after time.Duration) *apierr.Error {
		return tooSoon(after, codeOverEmailRate)
	})
	if err != nil {
		return err
	}
	if err := m.checkAuthorized(address); err != nil {
		return err
	}
	return m.takeMail(ctx)
}

// takeCode counts a code that is tried for an address or number, whoever tries
// and whether there is such an account or not: six digits must not be guessed
// from many addresses.
func (m *Module) takeCode(ctx context.Context, addressee string) error {
	if slipOf(ctx).again("code " + addressee) {
		return nil
	}
	return m.take(ctx, "code/"+addressee, ratelimit.Limit{Rate: m.cfg.Flow.RateLimitCode, Period: time.Hour}, tooMany)
}

// quiet is the time at which a route answers that must not tell whether an
// account exists: longer than its work takes either way.
const quiet = 100 * time.Millisecond

// quietly runs f and returns no sooner than quiet after its beginning, whatever
// f found, unless the caller goes away. Mails that f posted leave meanwhile.
func (m *Module) quietly(ctx context.Context, f func() error) error {
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	err := f()
	m.sendPosted(ctx)
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return err
}

// otpExpired is the one answer to codes and links that are wrong, late, used or of nobody.
func otpExpired(message string) *apierr.Error {
	return apierr.New(http.StatusForbidden, codeOTPExpired, message)
}
