package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/madbase/madbase/modules/auth/password"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
)

// PwnedConfig looks new passwords up among those of known breaches.
type PwnedConfig struct {
	Enabled    bool   `env:"GOTRUE_PASSWORD_HIBP_ENABLED" default:"false" doc:"Refuse passwords that Have I Been Pwned knows; it learns five digits of a hash." group:"optional"`
	FailClosed bool   `env:"GOTRUE_PASSWORD_HIBP_FAIL_CLOSED" default:"false" doc:"Refuse all new passwords while it cannot be reached." group:"optional"`
	UserAgent  string `env:"GOTRUE_PASSWORD_HIBP_USER_AGENT" default:"https://github.com/madbase/madbase" doc:"How requests to it name themselves." group:"optional"`

	Bloom               bool    `env:"GOTRUE_PASSWORD_HIBP_BLOOM_ENABLED" default:"false" doc:"Remember in a Bloom filter what it has told, so that a known password is refused without asking again." group:"optional"`
	BloomItems          int     `env:"GOTRUE_PASSWORD_HIBP_BLOOM_ITEMS" default:"100000" doc:"Hashes that the filter is for, 1000 to 100 million; an answer has some 800 to 1000, each takes 3 bytes at the default share." group:"optional"`
	BloomFalsePositives float64 `env:"GOTRUE_PASSWORD_HIBP_BLOOM_FALSE_POSITIVES" default:"0.0000099" doc:"Share of unknown passwords that the filter takes for known ones, more than 0 and at most 0.01." group:"optional"`
}

// Validate names each faulty setting.
func (c PwnedConfig) Validate() error {
	if !c.Bloom {
		return nil
	}
	var errs []error
	if c.BloomItems < 1000 || c.BloomItems > 100_000_000 {
		errs = append(errs, errors.New("GOTRUE_PASSWORD_HIBP_BLOOM_ITEMS must be between 1000 and 100000000"))
	}
	if !(c.BloomFalsePositives > 1e-12 && c.BloomFalsePositives <= 0.01) {
		errs = append(errs, errors.New("GOTRUE_PASSWORD_HIBP_BLOOM_FALSE_POSITIVES must be more than 0 and at most 0.01"))
	}
	return errors.Join(errs...)
}

// seen is what remembers the answers, nil where the settings ask for nothing.
func (c PwnedConfig) seen() *password.Seen {
	if !c.Enabled || !c.Bloom {
		return nil
	}
	return password.NewSeen(c.BloomItems, c.BloomFalsePositives)
}

// checkPassword refuses a new password that is too long or too weak.
func (m *Module) checkPassword(ctx context.Context, text string) error {
	if len(text) > password.MaxLength {
		return invalid(fmt.Sprintf("Password cannot be longer than %d characters", password.MaxLength))
	}
	weakness, err := m.weakness(ctx, text)
	if err != nil && m.cfg.Pwned.FailClosed {
		return apierr.New(http.StatusInternalServerError, codeUnexpected, "Unable to perform password strength check with HaveIBeenPwned.org.").Because(err)
	}
	if weakness != nil {
		return weakPassword(weakness)
	}
	return nil
}

// weakness says what is weak about a password. The error is that nobody could say
// whether it is known, which is logged; what else is weak comes all the same.
func (m *Module) weakness(ctx context.Context, text string) (*password.Weakness, error) {
	weak := m.policy.Check(text)
	if !m.cfg.Pwned.Enabled {
		return weak, nil
	}
	known, err := password.Pwned{Transport: m.deps.Transport, UserAgent: m.cfg.Pwned.UserAgent, Seen: m.seen}.Knows(ctx, text)
	if err != nil {
		m.deps.Log.WarnContext(ctx, "Have I Been Pwned cannot be asked", "error", err)
	}
	if known {
		weak = password.Breached(weak)
	}
	return weak, err
}

// saveUser is store.InsertUser with the password's hash encrypted, where the settings ask for it.
func (m *Module) saveUser(ctx context.Context, q db.Queryer, n store.NewUser) (err error) {
	if n.PasswordHash, err = m.box.Seal(n.ID, n.PasswordHash); err != nil {
		return fmt.Errorf("auth: insert user: %w", err)
	}
	return store.InsertUser(ctx, q, n)
}

// setPassword is store.SetPassword, likewise.
func (m *Module) setPassword(ctx context.Context, q db.Queryer, userID, hash string) error {
	hash, err := m.box.Seal(userID, hash)
	if err != nil {
		return fmt.Errorf("auth: set password: %w", err)
	}
	return store.SetPassword(ctx, q, userID, hash)
}

// comparePassword is the Hasher's Compare with a user's password.
func (m *Module) comparePassword(ctx context.Context, user *store.User, text string) error {
	hash, err := m.box.Open(user.ID, user.PasswordHash)
	if err != nil {
		return fmt.Errorf("auth: compare password: %w", err)
	}
	return m.hasher.Compare(ctx, hash, text)
}

// ownEmailIdentity gives a user who set a password the identity of their confirmed
// address, where the settings ask for it and they have none.
func (m *Module) ownEmailIdentity(ctx context.Context, q db.Queryer, user *store.User) error {
	if !m.cfg.EmailIdentity || user.IsSSO || user.IsAnonymous || user.EmailConfirmedAt == nil || user.HasProvider(store.ProviderEmail) {
		return nil
	}
	if err := store.PutOwnIdentity(ctx, q, user.ID, store.Own{Provider: store.ProviderEmail, Value: user.Email, Verified: true}); err != nil {
		return err
	}
	return store.RefreshProviders(ctx, q, user.ID)
}
