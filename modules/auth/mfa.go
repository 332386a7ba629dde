package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/ratelimit"
)

// factorMethods are the names of the factors' types in the claim amr.
var factorMethods = map[string]string{
	store.FactorTOTP: methodTOTP, store.FactorPhone: methodPhone, store.FactorWebAuthn: methodWebAuthn,
}

// asMember makes a route of one for users with a live session who are not
// anonymous. Apps that users signed in to do not add ways of signing in.
func (m *Module) asMember(h func(echo.Context, signedIn) error) echo.HandlerFunc {
	return m.asPerson(func(c echo.Context, who signedIn) error {
		if who.user.IsAnonymous {
			return forbidden(codeNoAuthorization, "Anonymous user not allowed to perform these actions")
		}
		return h(c, who)
	})
}

// asFactorOwner makes a route of one on a factor that the caller owns.
func (m *Module) asFactorOwner(h func(echo.Context, signedIn, *store.Factor) error) echo.HandlerFunc {
	return m.asMember(func(c echo.Context, who signedIn) error {
		factor, err := ownFactor(who.user, c.Param("factor_id"))
		if err != nil {
			return err
		}
		return h(c, who, factor)
	})
}

// ownFactor finds a factor among those that the user was loaded with: whose it is
// not, cannot tell it from one that does not exist.
func ownFactor(user *store.User, id string) (*store.Factor, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return nil, apierr.New(http.StatusNotFound, codeValidation, "factor_id must be an UUID")
	}
	i := slices.IndexFunc(user.Factors, func(f store.Factor) bool { return f.ID == parsed.String() })
	if i < 0 {
		return nil, factorNotFound()
	}
	return &user.Factors[i], nil
}

// reloadFactor locks the user for the rest of the transaction and returns user
// and factor as they are now.
func reloadFactor(ctx context.Context, q db.Queryer, userID, factorID string) (*store.User, *store.Factor, error) {
	user, err := store.LockUser(ctx, q, userID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, forbidden(codeUserNotFound, "User from sub claim in JWT does not exist")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("auth: factor: %w", err)
	}
	factor, err := ownFactor(user, factorID)
	return user, factor, err
}

// allowFactor counts a challenge or an answer of a factor, whichever addresses
// they come from: codes have six digits, and addresses are cheap.
func (m *Module) allowFactor(ctx context.Context, what, factorID string) error {
	return m.take(ctx, what+"/factor/"+factorID, ratelimit.Limit{Rate: m.cfg.MFA.RateLimit, Period: time.Minute}, tooMany)
}

// factorAddress is the client's address as challenges note it, which they must.
func (m *Module) factorAddress(r *http.Request) string {
	if ip := m.client(r).ip; ip != "" {
		return ip
	}
	return "0.0.0.0"
}
