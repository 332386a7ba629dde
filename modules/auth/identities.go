package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

// asLinker makes a route one for users where manual linking is on. Apps that
// users signed in to do not add ways of signing in.
func (m *Module) asLinker(h func(echo.Context, signedIn) error) echo.HandlerFunc {
	return m.asPerson(func(c echo.Context, who signedIn) error {
		if !m.cfg.External.ManualLinking {
			return apierr.New(http.StatusNotFound, codeLinkingDisabled, "Manual linking is disabled")
		}
		return h(c, who)
	})
}

// identityLink answers GET /user/identities/authorize: the user goes to a service
// to add an identity there to the account.
func (m *Module) identityLink(c echo.Context, who signedIn) error {
	address, err := m.beginAtService(c, who.user.ID)
	if err != nil {
		return err
	}
	if c.QueryParam("skip_http_redirect") == "true" {
		return httpx.JSON(c, http.StatusOK, map[string]string{"url": address})
	}
	return goTo(c, http.StatusFound, address)
}

// linkTo adds an arrival's identity to a user there is, whose row is locked. Who
// had no address gets that of the identity.
func (m *Module) linkTo(r *http.Request, tx pgx.Tx, target *store.User, a arrival) (account, error) {
	ctx, who := r.Context(), a.who
	if err := lockArrival(ctx, tx, who); err != nil {
		return account{}, err
	}
	owner, err := store.IdentityOwner(ctx, tx, who.Provider, who.Claims.Subject)
	switch {
	case err == nil && owner == target.ID:
		return account{}, unprocessable(codeIdentityExists, "Identity is already linked")
	case err == nil:
		return account{}, unprocessable(codeIdentityExists, "Identity is already linked to another user")
	case !errors.Is(err, store.ErrNotFound):
		return account{}, err
	case target.Banned(m.now()):
		return account{}, forbidden(codeUserBanned, "User is banned")
	}
	data, err := who.Claims.Data()
	if err == nil {
		err = store.InsertIdentity(ctx, tx, target.ID, who.Provider, data)
	}
	if err == nil {
		err = m.auditLink(ctx, tx, target.ID, who)
	}
	if err == nil {
		err = store.RefreshProviders(ctx, tx, target.ID)
	}
	if err != nil {
		return account{}, err
	}
	var refused error
	if target.Email == "" {
		if refused, err = m.firstEmail(ctx, tx, target, a); err != nil {
			return account{}, err
		}
	}
	user, err := store.UserByID(ctx, tx, target.ID)
	if err != nil || refused != nil {
		return account{accountLinked, user, refused}, err
	}
	return account{accountLinked, user, nil}, m.notify(ctx, tx, mail.Message{Kind: mail.IdentityLinked, User: user, Provider: who.Provider})
}

// firstEmail gives a user without an address that of a new identity. When the
// service does not vouch for it a mail asks, and the link stands but is refused.
func (m *Module) firstEmail(ctx context.Context, tx pgx.Tx, target *store.User, a arrival) (refused, err error) {
	user, err := store.UserByID(ctx, tx, target.ID)
	if err != nil {
		return nil, err
	}
	if err := m.emailFromIdentities(ctx, tx, user); err != nil {
		if errors.Is(err, errEmailConflict) {
			return nil, badRequest(codeEmailExists, emailExists().Message)
		}
		return nil, err
	}
	switch {
	case user.Email != "" && !bool(a.who.Claims.EmailVerified):
		name := a.who.Provider
		refused := unprocessable(codeEmailNotConfirmed,
			fmt.Sprintf("Unverified email with %[1]s. A confirmation email has been sent to your %[1]s email", name))
		return refused, m.mailCode(ctx, tx, mail.Message{Kind: mail.Confirmation, User: user, RedirectTo: a.redirectTo}, pkce{})
	case user.Email != "":
		if err := store.ConfirmEmail(ctx, tx, user.ID); err != nil {
			return nil, err
		}
	}
	if user.IsAnonymous {
		return nil, store.MakePermanent(ctx, tx, user.ID)
	}
	return nil, nil
}

// errEmailConflict says that every address that the user could have is another's.
var errEmailConflict = errors.New("auth: the identities' addresses are taken")

// identityDelete answers DELETE /user/identities/{id}: the user signs in there no
// more. One identity must stay.
func (m *Module) identityDelete(c echo.Context, who signedIn) error {
	id, err := uuid.Parse(c.Param("identity_id"))
	if err != nil {
		return apierr.New(http.StatusNotFound, codeValidation, "identity_id must be an UUID")
	}
	ctx := c.Request().Context()
	err = pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) error {
		user, err := store.LockUser(ctx, tx, who.user.ID)
		if errors.Is(err, store.ErrNotFound) {
			return forbidden(codeUserNotFound, "User from sub claim in JWT does not exist")
		}
		if err != nil {
			return err
		}
		return m.unlink(ctx, tx, user, id.String())
	})
	if store.Violates(err, "users_email_partial_key") || errors.Is(err, errEmailConflict) {
		return unprocessable(codeEmailConflict, "Unable to unlink identity due to email conflict").Because(err)
	}
	if err != nil {
		return databaseError("Database error deleting identity", err)
	}
	return httpx.JSON(c, http.StatusOK, struct{}{})
}

func (m *Module) unlink(ctx context.Context, tx pgx.Tx, user *store.User, id string) error {
	if len(user.Identities) <= 1 {
		return unprocessable(codeSingleIdentity, "User must have at least 1 identity after unlinking")
	}
	at := slices.IndexFunc(user.Identities, func(i store.Identity) bool { return i.ID == id })
	if at < 0 {
		return unprocessable(codeIdentityNotFound, "Identity doesn't exist")
	}
	gone, before := user.Identities[at], *user
	if err := m.audit(ctx, tx, user, actionIdentityUnlinked, identityTraits(gone)); err != nil {
		return err
	}
	if err := store.DeleteIdentity(ctx, tx, gone.ID); err != nil {
		return err
	}
	user.Identities = slices.Delete(slices.Clone(user.Identities), at, at+1)
	var err error
	if gone.Provider == store.ProviderPhone {
		err = store.ClearPhone(ctx, tx, user.ID)
	} else {
		err = m.emailFromIdentities(ctx, tx, user)
	}
	if err != nil {
		return err
	}
	if err := store.RefreshProviders(ctx, tx, user.ID); err != nil {
		return err
	}
	return m.notify(ctx, tx, mail.Message{Kind: mail.IdentityUnlinked, User: &before, Provider: gone.Provider})
}

// emailFromIdentities gives the user the address of one of their identities,
// unless theirs is one already: those that a service vouches for come first, then
// the older. errEmailConflict when others have them all. user.Email follows.
func (m *Module) emailFromIdentities(ctx context.Context, tx pgx.Tx, user *store.User) error {
	for _, i := range user.Identities {
		if i.Email == user.Email {
			return nil
		}
	}
	rank := func(i store.Identity) int {
		switch {
		case i.Email == "":
			return 2
		case !vouched(i):
			return 1
		}
		return 0
	}
	order := slices.Clone(user.Identities) // oldest first, as the store returns them
	slices.SortStableFunc(order, func(a, b store.Identity) int { return cmp.Compare(rank(a), rank(b)) })
	for _, i := range order {
		if i.Email != "" {
			_, err := store.UserByEmail(ctx, tx, i.Email, user.Audience)
			if err == nil {
				continue
			}
			if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		confirmed := i.Email != "" && (vouched(i) || m.cfg.Autoconfirm)
		if err := store.MoveEmail(ctx, tx, user.ID, i.Email, confirmed); err != nil {
			return err
		}
		user.Email = i.Email
		if confirmed {
			return nil
		}
		return store.MergeUserMetadata(ctx, tx, user.ID, map[string]any{"email_verified": false})
	}
	return errEmailConflict
}

// vouched reports whether the identity's service vouches for its address.
func vouched(i store.Identity) bool {
	var data struct {
		Verified bool `json:"email_verified"`
	}
	return json.Unmarshal(i.Data, &data) == nil && data.Verified
}
