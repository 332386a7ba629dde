package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/hook"
	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/provider"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
)

// arrival is a person at the door, for whom a service vouches: one of the
// built-in or custom ones, a company's sign-on, a wallet.
type arrival struct {
	who provider.Identity
	// emailOptional lets people in whose address is not known.
	emailOptional bool
	// redirectTo is where a mail that asks to confirm the address leads.
	redirectTo string
}

// decision is whose account an arrival's is.
type decision int

// The decisions: the identity is known; it is new and so is its user; it is new,
// and its verified address is that of a user there is.
const (
	accountExists decision = iota
	accountCreated
	accountLinked
)

// account is what became of an arrival.
type account struct {
	decision decision
	// user is loaded as it then is.
	user *store.User
	// refused, when it is not nil, is what to answer after the transaction, which
	// must commit all the same: the account is there, and its address unconfirmed.
	refused error
}

// linking is a decision before it is carried out.
type linking struct {
	who      provider.Identity
	data     map[string]any
	decision decision
	userID   string
	domain   string
	// email is the new user's address, empty for none; verified says that the service vouches for it.
	email    string
	verified []string
}

// findAccount decides whose account an identity is, by GoTrue's rules: the one that
// has it; else the one with a verified address of it, in the same linking domain;
// else a new one. An address that nobody vouches for links nothing, also under
// autoconfirm, where GoTrue lets it. A new account does not get an address that
// another has.
func (m *Module) findAccount(ctx context.Context, q db.Queryer, r *http.Request, who provider.Identity) (linking, error) {
	l := linking{who: who, decision: accountCreated, domain: m.cfg.External.domain(who.Provider)}
	var err error
	if l.data, err = who.Claims.Data(); err != nil {
		return l, err
	}
	for _, e := range who.Emails {
		address, err := parseEmail(e.Address)
		if err != nil { // no service's address is a reason to fail
			continue
		}
		if e.Primary {
			l.email = address
		}
		if e.Verified {
			l.verified = append(l.verified, address)
		}
	}
	owner, err := store.IdentityOwner(ctx, q, who.Provider, who.Claims.Subject)
	if err == nil {
		l.decision, l.userID = accountExists, owner
		return l, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return l, err
	}
	if len(l.verified) == 0 {
		return l, m.freeEmail(ctx, q, r, &l)
	}
	owners, err := store.EmailOwners(ctx, q, l.verified)
	if err != nil {
		return l, err
	}
	users := owning(owners, func(o store.EmailOwner) bool {
		return o.Provider != "" && m.cfg.External.domain(o.Provider) == l.domain
	})
	if len(users) == 0 && l.domain == defaultDomain {
		users = owning(owners, func(o store.EmailOwner) bool { return o.Provider == "" })
	}
	switch len(users) {
	case 0:
		if !slices.Contains(l.verified, l.email) {
			return l, m.freeEmail(ctx, q, r, &l)
		}
		return l, nil
	case 1:
		l.decision, l.userID = accountLinked, users[0]
		return l, nil
	}
	return l, apierr.New(http.StatusInternalServerError, codeUnexpected,
		"Multiple accounts with the same email address in the same linking domain detected: "+l.domain)
}

// freeEmail takes an address from a new account that another has.
func (m *Module) freeEmail(ctx context.Context, q db.Queryer, r *http.Request, l *linking) error {
	if l.email == "" {
		return nil
	}
	_, err := store.UserByAnyEmail(ctx, q, l.email, m.audience(r), "")
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	l.email = ""
	return nil
}

// owning are the users of the owners that are meant, each once.
func owning(owners []store.EmailOwner, meant func(store.EmailOwner) bool) (users []string) {
	for _, o := range owners {
		if meant(o) && !slices.Contains(users, o.UserID) {
			users = append(users, o.UserID)
		}
	}
	return users
}

// accountFor finds or makes the account of an arrival, in tx. Whoever has made it
// without ever confirming its address loses it to the one for whom a service vouches.
func (m *Module) accountFor(r *http.Request, tx pgx.Tx, a arrival) (account, error) {
	ctx, who := r.Context(), a.who
	if err := lockArrival(ctx, tx, who); err != nil {
		return account{}, err
	}
	l, err := m.findAccount(ctx, tx, r, who)
	if err != nil {
		return account{}, err
	}
	switch l.decision {
	case accountExists:
		err = refreshIdentity(ctx, tx, l)
	case accountLinked:
		err = m.addIdentity(ctx, tx, l)
	case accountCreated:
		l.userID, err = m.createAccount(ctx, tx, m.audience(r), l)
	}
	if err != nil {
		return account{}, err
	}
	user, err := store.UserByID(ctx, tx, l.userID)
	if err != nil {
		return account{}, err
	}
	if user.Banned(m.now()) {
		return account{}, forbidden(codeUserBanned, "User is banned")
	}
	needsEmail := who.Provider != methodWeb3 && !(a.emailOptional && user.Email == "" && l.email == "")
	if !needsEmail || user.EmailConfirmedAt != nil {
		return account{l.decision, user, nil}, m.audit(ctx, tx, user, actionLogin, map[string]any{"provider": who.Provider})
	}
	return m.confirmArrival(ctx, tx, a, l, user)
}

// lockArrival has arrivals of the same person wait for one another.
func lockArrival(ctx context.Context, tx pgx.Tx, who provider.Identity) error {
	names := []string{"identity " + who.Provider + " " + who.Claims.Subject}
	for _, e := range who.Emails {
		if address, err := parseEmail(e.Address); err == nil {
			names = append(names, "email "+address)
		}
	}
	return store.LockNames(ctx, tx, names)
}

func refreshIdentity(ctx context.Context, tx pgx.Tx, l linking) error {
	if err := store.SetIdentityData(ctx, tx, l.who.Provider, l.who.Claims.Subject, l.data); err != nil {
		return err
	}
	if err := store.MergeUserMetadata(ctx, tx, l.userID, l.data); err != nil {
		return err
	}
	return store.RefreshProviders(ctx, tx, l.userID)
}

// addIdentity links an identity to a user there is.
func (m *Module) addIdentity(ctx context.Context, tx pgx.Tx, l linking) error {
	if err := store.InsertIdentity(ctx, tx, l.userID, l.who.Provider, l.data); err != nil {
		return err
	}
	if err := store.MergeUserMetadata(ctx, tx, l.userID, l.data); err != nil {
		return err
	}
	if err := store.RefreshProviders(ctx, tx, l.userID); err != nil {
		return err
	}
	return m.auditLink(ctx, tx, l.userID, l.who)
}

// auditLink notes that a user has a new identity.
func (m *Module) auditLink(ctx context.Context, tx pgx.Tx, userID string, who provider.Identity) error {
	user, err := store.UserByID(ctx, tx, userID)
	if err != nil {
		return err
	}
	for _, i := range user.Identities {
		if i.Provider == who.Provider && i.ProviderID == who.Claims.Subject {
			return m.audit(ctx, tx, user, actionIdentityLinked, identityTraits(i))
		}
	}
	return errors.New("auth: link: the identity is not the user's")
}

func identityTraits(i store.Identity) map[string]any {
	return map[string]any{"identity_id": i.ID, "provider": i.Provider, "provider_id": i.ProviderID}
}

// newAccount is the user that an arrival would be.
func (m *Module) newAccount(audience string, l linking) store.NewUser {
	return store.NewUser{
		ID: uuid.NewString(), Audience: audience, Role: m.cfg.JWTDefaultGroupName, Email: l.email,
		AppMetadata: providers(l.who.Provider), UserMetadata: l.data, IsSSO: l.domain != defaultDomain,
	}
}

// createAccount adds a user with the identity.
func (m *Module) createAccount(ctx context.Context, tx pgx.Tx, audience string, l linking) (string, error) {
	if m.cfg.DisableSignup {
		return "", signupDisabled()
	}
	user := m.newAccount(audience, l)
	if r := slipOf(ctx).rehearsal; r != nil {
		user.ID = r.userID
	}
	err := m.saveUser(ctx, tx, user)
	if err == nil {
		err = store.InsertIdentity(ctx, tx, user.ID, l.who.Provider, l.data)
	}
	return user.ID, err
}

func signupDisabled() error {
	return unprocessable(codeSignupDisabled, "Signups not allowed for this instance")
}

// beforeAccount asks the app's hook about a person, if they were to get an account.
// Call it outside of transactions.
func (m *Module) beforeAccount(c echo.Context, who provider.Identity) error {
	if !m.hooks.Enabled(hook.BeforeUserCreated) {
		return nil
	}
	r := c.Request()
	l, err := m.findAccount(r.Context(), projectOf(c).DB.Auth, r, who)
	switch {
	case err != nil:
		return err
	case l.decision != accountCreated:
		return nil
	case m.cfg.DisableSignup:
		return signupDisabled()
	}
	return m.beforeUser(c, m.newAccount(m.audience(r), l))
}

// afterAccount tells the app's hook of a new account, or returns why the person
// may not come in yet. Call it after the commit.
func (m *Module) afterAccount(c echo.Context, got account) error {
	if got.refused != nil || got.decision != accountCreated {
		return got.refused
	}
	return m.afterUser(c, got.user)
}

// confirmArrival ends an arrival at an account whose address nobody has confirmed:
// a service that vouches for it does, and so does autoconfirm. Else a mail asks,
// and the person must wait, unless unverified addresses may sign in.
func (m *Module) confirmArrival(ctx context.Context, tx pgx.Tx, a arrival, l linking, user *store.User) (account, error) {
	who := a.who
	err := takeOver(ctx, tx, l, user)
	if err != nil {
		return account{}, err
	}
	if user.Email == "" && slices.Contains(l.verified, l.email) { // the address was in doubt when the account was made
		if err := m.freeEmailOf(ctx, tx, user, &l); err != nil {
			return account{}, err
		}
	}
	if user.Email != "" && (slices.Contains(l.verified, user.Email) || m.cfg.Autoconfirm) {
		if err := m.audit(ctx, tx, user, actionSignedUp, map[string]any{"provider": who.Provider}); err != nil {
			return account{}, err
		}
		if err := store.ConfirmEmail(ctx, tx, user.ID); err != nil {
			return account{}, err
		}
		user, err = store.UserByID(ctx, tx, user.ID)
		return account{l.decision, user, nil}, err
	}
	if user, err = store.UserByID(ctx, tx, user.ID); err != nil {
		return account{}, err
	}
	message := fmt.Sprintf("Unverified email with %[1]s. Verify the email with %[1]s in order to sign in", who.Provider)
	if user.Email != "" {
		if err := m.mailCode(ctx, tx, mail.Message{Kind: mail.Confirmation, User: user, RedirectTo: a.redirectTo}, pkce{}); err != nil {
			return account{}, err
		}
		message = fmt.Sprintf("Unverified email with %[1]s. A confirmation email has been sent to your %[1]s email", who.Provider)
	}
	if m.cfg.External.AllowUnverified {
		return account{l.decision, user, nil}, nil
	}
	return account{l.decision, user, unprocessable(codeProviderEmail, message)}, nil
}

// takeOver takes an account from whoever made it and never confirmed it: from a
// stranger all of it, from the one who has had the identity before what others may
// have added. A confirmed number is a confirmation too.
func takeOver(ctx context.Context, tx pgx.Tx, l linking, user *store.User) error {
	if l.decision == accountExists && user.PhoneConfirmedAt != nil {
		return nil
	}
	err := store.TakeOver(ctx, tx, user.ID, l.who.Provider, l.data)
	if err == nil && l.decision == accountLinked {
		err = store.LockOut(ctx, tx, user.ID)
	}
	if err == nil {
		err = store.RefreshProviders(ctx, tx, user.ID)
	}
	return err
}

// freeEmailOf gives the user the arrival's verified address when it is nobody else's.
func (m *Module) freeEmailOf(ctx context.Context, tx pgx.Tx, user *store.User, l *linking) error {
	_, err := store.UserByAnyEmail(ctx, tx, l.email, user.Audience, user.ID)
	if errors.Is(err, store.ErrNotFound) {
		user.Email = l.email
		return store.SetEmail(ctx, tx, user.ID, l.email)
	}
	return err
}
