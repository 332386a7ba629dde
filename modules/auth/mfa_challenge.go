package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

type challengeAnswer struct {
	ID        string             `json:"id"`
	Type      string             `json:"type"`
	ExpiresAt int64              `json:"expires_at"`
	WebAuthn  *webAuthnChallenge `json:"webauthn,omitempty"`
}

// factorChallenge answers POST /factors/{id}/challenge: it asks for a proof of the factor.
func (m *Module) factorChallenge(c echo.Context, who signedIn, factor *store.Factor) error {
	if err := m.allow(c.Request(), "factor_challenge", m.cfg.MFA.RateLimit, time.Minute); err != nil {
		return err
	}
	if err := m.checkVerifyEnabled(factor); err != nil {
		return err
	}
	if err := m.allowFactor(c.Request().Context(), "factor_challenge", factor.ID); err != nil {
		return err
	}
	switch factor.Type {
	case store.FactorPhone:
		return m.challengePhone(c, who, factor)
	case store.FactorWebAuthn:
		return m.challengeWebAuthn(c, who, factor)
	}
	var challenge *store.Challenge
	ctx := c.Request().Context()
	err := pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) (err error) {
		challenge, err = m.newChallenge(ctx, tx, who.user, factor, store.NewChallenge{IP: m.factorAddress(c.Request())})
		return err
	})
	return m.answerChallenge(c, factor, challenge, nil, err)
}

// newChallenge adds a challenge of the factor, and notes it.
func (m *Module) newChallenge(ctx context.Context, q db.Queryer, user *store.User, factor *store.Factor, n store.NewChallenge) (*store.Challenge, error) {
	n.FactorID = factor.ID
	challenge, err := store.InsertChallenge(ctx, q, n)
	if err != nil {
		return nil, err
	}
	return challenge, m.audit(ctx, q, user, actionChallengeCreated, map[string]any{"factor_id": factor.ID, "factor_status": factor.Status})
}

// answerChallenge writes the answer with a challenge, or why there is none.
func (m *Module) answerChallenge(c echo.Context, factor *store.Factor, challenge *store.Challenge, options *webAuthnChallenge, err error) error {
	if store.Violates(err, "mfa_challenges_auth_factor_id_fkey") { // the factor was deleted in the meantime
		return factorNotFound()
	}
	if err != nil {
		return databaseError("Database error creating challenge", err)
	}
	return httpx.JSON(c, http.StatusOK, challengeAnswer{
		ID: challenge.ID, Type: factor.Type, ExpiresAt: challenge.CreatedAt.Add(m.cfg.MFA.challengeLife()).Unix(), WebAuthn: options,
	})
}

func (m *Module) checkVerifyEnabled(factor *store.Factor) error {
	switch {
	case factor.Type == store.FactorTOTP && !m.cfg.MFA.TOTPVerify:
		return unprocessable(codeTOTPVerifyOff, "MFA verification is disabled for TOTP")
	case factor.Type == store.FactorPhone && !m.cfg.MFA.PhoneVerify:
		return unprocessable(codePhoneVerifyOff, "MFA verification is disabled for Phone")
	case factor.Type == store.FactorWebAuthn && !m.cfg.MFA.WebAuthnVerify:
		return unprocessable(codeWebAuthnVerifyOff, "MFA verification is disabled for WebAuthn")
	}
	return nil
}

// openChallenge returns a challenge of the factor that may still be answered, from
// the address that asked for it.
func (m *Module) openChallenge(ctx context.Context, q db.Queryer, factor *store.Factor, id, address string) (*store.Challenge, error) {
	challenge, err := store.FindChallenge(ctx, q, factor.ID, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, unprocessable(codeFactorNotFound, "MFA factor with the provided challenge ID not found")
	}
	if err != nil {
		return nil, fmt.Errorf("auth: challenge: %w", err)
	}
	if challenge.Answered || challenge.IP != address {
		return nil, challengeMismatch()
	}
	if m.now().After(challenge.CreatedAt.Add(m.cfg.MFA.challengeLife())) {
		if _, err := store.DeleteChallenge(ctx, q, id); err != nil {
			return nil, fmt.Errorf("auth: challenge: %w", err)
		}
		return nil, unprocessable(codeChallengeExpired,
			fmt.Sprintf("MFA challenge %s has expired, verify against another challenge or create a new challenge.", id))
	}
	return challenge, nil
}

func challengeMismatch() error {
	return unprocessable(codeMFAAddress, "Challenge and verify IP addresses mismatch.")
}
