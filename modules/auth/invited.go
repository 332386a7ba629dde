package auth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/modules/auth/provider"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
)

// acceptInvite lets the invited in by an identity with the address that was
// invited. The token is the proof that the address is theirs.
func (m *Module) acceptInvite(r *http.Request, tx pgx.Tx, token string, a arrival) (account, error) {
	ctx, who := r.Context(), a.who
	if err := lockArrival(ctx, tx, who); err != nil {
		return account{}, err
	}
	user, err := m.invitedBy(ctx, tx, token)
	if err != nil {
		return account{}, err
	}
	if !slices.ContainsFunc(who.Emails, func(e provider.Email) bool { return strings.EqualFold(e.Address, user.Email) }) {
		return account{}, invalid("Invited email does not match emails from external provider")
	}
	if _, err := store.IdentityOwner(ctx, tx, who.Provider, who.Claims.Subject); !errors.Is(err, store.ErrNotFound) {
		if err == nil {
			err = unprocessable(codeIdentityExists, "Identity is already linked to another user")
		}
		return account{}, err
	}
	l := linking{who: who, decision: accountLinked, userID: user.ID}
	if l.data, err = who.Claims.Data(); err != nil {
		return account{}, err
	}
	if err := store.InsertIdentity(ctx, tx, user.ID, who.Provider, l.data); err != nil {
		return account{}, err
	}
	if err := m.audit(ctx, tx, user, actionInviteAccepted, map[string]any{"provider": who.Provider}); err != nil {
		return account{}, err
	}
	if err := takeOver(ctx, tx, l, user); err != nil {
		return account{}, err
	}
	if err := store.ConfirmEmail(ctx, tx, user.ID); err != nil {
		return account{}, err
	}
	user, err = store.UserByID(ctx, tx, user.ID)
	return account{decision: accountLinked, user: user}, err
}

// invitedBy returns the user whom an invitation's token is for.
func (m *Module) invitedBy(ctx context.Context, tx pgx.Tx, token string) (*store.User, error) {
	none := apierr.New(http.StatusNotFound, codeInviteNotFound, "Invite not found")
	hash, user, err := m.linked(ctx, tx, token, store.ConfirmationToken)
	if errors.Is(err, store.ErrNotFound) {
		return nil, none
	}
	if err != nil {
		return nil, err
	}
	pending, err := store.LockOneTimes(ctx, tx, user.ID)
	if err != nil {
		return nil, err
	}
	if !opens(pending.Confirmation, hash, m.now(), m.mailCodeLife()) {
		return nil, none
	}
	if user.Banned(m.now()) {
		return nil, forbidden(codeUserBanned, "User is banned")
	}
	return user, nil
}
