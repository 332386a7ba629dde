package auth

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/modules/auth/token"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

// maxFactorText bounds a factor's name and a TOTP issuer in bytes: every answer
// with the user has the names, and the issuer must fit a QR code. GoTrue has no bound.
const maxFactorText = 255

type enrollRequest struct {
	FriendlyName string `json:"friendly_name"`
	FactorType   string `json:"factor_type"`
	Issuer       string `json:"issuer"`
	Phone        string `json:"phone"`
}

type enrollAnswer struct {
	ID           string       `json:"id"`
	Type         string       `json:"type"`
	FriendlyName string       `json:"friendly_name"`
	TOTP         *totpKeyBody `json:"totp,omitempty"`
	Phone        string       `json:"phone,omitempty"`
}

// factorEnroll answers POST /factors: it adds a factor that counts once it was
// used. Who has a verified factor must have used it in this session.
func (m *Module) factorEnroll(c echo.Context, who signedIn) error {
	var req enrollRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	factor := store.NewFactor{UserID: who.user.ID, Type: req.FactorType, FriendlyName: req.FriendlyName}
	answer := enrollAnswer{Type: req.FactorType, FriendlyName: req.FriendlyName}
	err := m.checkEnroll(req)
	switch {
	case err != nil:
	case req.FactorType == store.FactorTOTP:
		answer.TOTP, err = m.newTOTPKey(c, who.user, req.Issuer)
		if err == nil {
			factor.Secret = answer.TOTP.Secret
		}
	case req.FactorType == store.FactorPhone:
		answer.Phone = req.Phone
		factor.Phone, err = parsePhone(req.Phone)
	}
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	err = pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) (err error) {
		answer.ID, err = m.enroll(ctx, tx, who, factor)
		return err
	})
	if store.Violates(err, "mfa_factors_user_friendly_name_unique") { // names that differ in spaces only
		return nameConflict(req.FriendlyName)
	}
	if err != nil {
		return databaseError("Database error enrolling factor", err)
	}
	return httpx.JSON(c, http.StatusOK, answer)
}

func (m *Module) checkEnroll(req enrollRequest) error {
	switch req.FactorType {
	case store.FactorPhone:
		if !m.cfg.MFA.PhoneEnroll {
			return unprocessable(codePhoneEnrollOff, "MFA enroll is disabled for Phone")
		}
		if req.Phone == "" {
			return invalid("Phone number required to enroll Phone factor")
		}
	case store.FactorTOTP:
		if !m.cfg.MFA.TOTPEnroll {
			return unprocessable(codeTOTPEnrollOff, "MFA enroll is disabled for TOTP")
		}
	case store.FactorWebAuthn:
		if !m.cfg.MFA.WebAuthnEnroll {
			return unprocessable(codeWebAuthnEnrollOff, "MFA enroll is disabled for WebAuthn")
		}
	default:
		return invalid("factor_type needs to be totp, phone, or webauthn")
	}
	if len(req.FriendlyName) > maxFactorText || len(req.Issuer) > maxFactorText {
		return invalid(fmt.Sprintf("friendly_name and issuer must be %d characters or less", maxFactorText))
	}
	return nil
}

// enroll checks the user's other factors, which stay as they are until the
// transaction ends, and adds the new one.
func (m *Module) enroll(ctx context.Context, q db.Queryer, who signedIn, n store.NewFactor) (id string, err error) {
	if _, err := store.LockUser(ctx, q, n.UserID); err != nil {
		return "", fmt.Errorf("auth: enroll: %w", err)
	}
	others, err := store.Factors(ctx, q, n.UserID)
	if err != nil {
		return "", err
	}
	for _, f := range others {
		if n.Type == store.FactorPhone && f.Phone == n.Phone && f.Verified() {
			return "", phoneFactorExists()
		}
	}
	if err := store.DeleteStaleFactors(ctx, q, n.UserID, n.Phone, max(m.cfg.MFA.FactorExpiry, minFactorExpiry)); err != nil {
		return "", err
	}
	if others, err = store.Factors(ctx, q, n.UserID); err != nil {
		return "", err
	}
	if err := m.checkOthers(others, who.session, n.FriendlyName); err != nil {
		return "", err
	}
	n.ID = uuid.NewString()
	if n.Secret, err = m.box.Seal(n.ID, n.Secret); err != nil {
		return "", fmt.Errorf("auth: enroll: %w", err)
	}
	factor, err := store.InsertFactor(ctx, q, n)
	if err != nil {
		return "", err
	}
	return factor.ID, m.audit(ctx, q, who.user, actionFactorEnrolling, map[string]any{"factor_id": factor.ID, "factor_type": factor.Type})
}

// checkOthers says why a factor of that name may not be added to the others.
func (m *Module) checkOthers(others []store.Factor, session *store.Session, name string) error {
	verified := 0
	for _, f := range others {
		if f.FriendlyName == name {
			return nameConflict(name)
		}
		if f.Verified() {
			verified++
		}
	}
	switch {
	case len(others) >= m.cfg.MFA.MaxEnrolled, verified >= m.cfg.MFA.MaxVerified:
		return unprocessable(codeTooManyFactors, "Maximum number of verified factors reached, unenroll to continue")
	case verified > 0 && session.AAL != token.AAL2:
		return forbidden(codeInsufficientAAL, "AAL2 required to enroll a new factor")
	}
	return nil
}

func nameConflict(name string) error {
	return unprocessable(codeFactorNameConflict, fmt.Sprintf("A factor with the friendly name %q for this user already exists", name))
}

func phoneFactorExists() error {
	return unprocessable(codeFactorExists, "A verified phone factor already exists, unenroll the existing factor to continue")
}
