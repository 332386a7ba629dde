package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/hook"
	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/modules/auth/token"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
)

type verifyFactorRequest struct {
	ChallengeID uuid.UUID       `json:"challenge_id"`
	Code        string          `json:"code"`
	WebAuthn    *webAuthnAnswer `json:"webauthn"`
}

// attempt is an answer to a challenge of a factor.
type attempt struct {
	who    signedIn
	factor *store.Factor
	req    verifyFactorRequest
	// address is where the answer comes from.
	address string
	// challenge is the one that is answered, once it is found.
	challenge *store.Challenge
	// proven is the factor whose key answered, where that is another one than was asked.
	proven string
}

// proof is an answer to a challenge that was found right. What makes it count, and
// count once, is done in the transaction that raises the session, with the user's
// row locked; it may still refuse.
type proof func(ctx context.Context, q db.Queryer) error

// factorVerify answers POST /factors/{id}/verify: with the proof of a second factor
// the session rises to AAL2, in its old tokens' place come new ones, and the user's
// sessions of less end.
func (m *Module) factorVerify(c echo.Context, who signedIn, factor *store.Factor) error {
	if err := m.allow(c.Request(), "factor_verify", m.cfg.MFA.RateLimit, time.Minute); err != nil {
		return err
	}
	var req verifyFactorRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	if req.Code == "" && factor.Type != store.FactorWebAuthn {
		return invalid("Code needs to be non-empty")
	}
	if err := m.checkVerifyEnabled(factor); err != nil {
		return err
	}
	ctx, pool := c.Request().Context(), projectOf(c).DB.Auth
	if err := m.allowFactor(ctx, "factor_verify", factor.ID); err != nil {
		return err
	}
	try := attempt{who: who, factor: factor, req: req, address: m.factorAddress(c.Request())}
	take, err := m.prove(ctx, pool, &try)
	if err != nil {
		return databaseError("Database error verifying factor", err)
	}
	var in *issued
	err = m.transact(ctx, func(tx pgx.Tx) (err error) {
		in, err = m.raise(ctx, tx, &try, take)
		return err
	})
	if err != nil {
		return databaseError("Database error verifying factor", err)
	}
	return m.respond(c, in)
}

// prove finds the challenge and checks the answer to it.
func (m *Module) prove(ctx context.Context, q db.Queryer, try *attempt) (_ proof, err error) {
	isKey := try.factor.Type == store.FactorWebAuthn
	if isKey {
		if err := try.req.WebAuthn.check(try.factor); err != nil {
			return nil, err
		}
	}
	try.challenge, err = m.openChallenge(ctx, q, try.factor, try.req.ChallengeID.String(), try.address)
	if err != nil {
		return nil, err
	}
	if isKey {
		return m.proveWebAuthn(ctx, q, try)
	}
	var take proof
	if try.factor.Type == store.FactorPhone {
		take, err = m.provePhone(ctx, try)
	} else {
		take, err = m.proveTOTP(ctx, q, try)
	}
	if _, refused := errors.AsType[*apierr.Error](err); err != nil && !refused {
		return nil, err
	}
	if rejection := m.judgeAttempt(ctx, q, try, err == nil); rejection != nil {
		return nil, rejection
	}
	return take, err
}

// proveTOTP checks a code of an authenticator app. A code counts once, and none of
// an earlier step does after it (RFC 6238, section 5.2).
func (m *Module) proveTOTP(ctx context.Context, q db.Queryer, try *attempt) (proof, error) {
	refusal := unprocessable(codeMFAFailed, "Invalid TOTP code entered")
	secret, err := store.FactorSecret(ctx, q, try.factor.ID)
	if err == nil {
		secret, err = m.box.Open(try.factor.ID, secret)
	}
	if err != nil {
		return nil, err
	}
	step, err := totpStep(try.req.Code, secret, m.now())
	if errors.Is(err, errNoStep) {
		return nil, refusal
	}
	if err != nil {
		return nil, err
	}
	fresh := func(ctx context.Context, q db.Queryer) error {
		last, err := store.LastStep(ctx, q, try.factor.ID)
		if err == nil && last >= step && !m.cfg.MFA.TOTPReuse {
			return refusal
		}
		return err
	}
	if err := fresh(ctx, q); err != nil {
		return nil, err
	}
	return func(ctx context.Context, q db.Queryer) error {
		if err := fresh(ctx, q); err != nil {
			return err
		}
		return answerOnce(store.AnswerChallenge(ctx, q, try.factor.ID, try.challenge.ID, step))
	}, nil
}

// answerOnce gives a challenge that was answered in the meantime its public face.
func answerOnce(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return challengeMismatch()
	}
	return err
}

// raise takes the proof and lifts the session to AAL2.
func (m *Module) raise(ctx context.Context, q db.Queryer, try *attempt, take proof) (*issued, error) {
	session := try.who.session
	user, factor, err := reloadFactor(ctx, q, try.who.user.ID, try.factor.ID)
	if err != nil {
		return nil, err
	}
	// Else whoever enrolled a factor before the user had one could pass with it later.
	if !factor.Verified() && user.HasSecondFactor() && session.AAL != token.AAL2 {
		return nil, forbidden(codeInsufficientAAL, "AAL2 required to enroll a new factor")
	}
	if err := take(ctx, q); err != nil {
		return nil, err
	}
	err = m.audit(ctx, q, user, actionFactorVerification, map[string]any{
		"factor_id": factor.ID, "challenge_id": try.challenge.ID, "factor_type": factor.Type,
	})
	if err == nil {
		err = store.VerifyFactor(ctx, q, factor.ID)
	}
	if err == nil {
		err = store.DeleteUnverifiedFactors(ctx, q, user.ID, factor.Type)
	}
	if err == nil {
		err = m.audit(ctx, q, user, actionTokenRevoked, nil)
	}
	if err == nil && !factor.Verified() {
		err = m.notify(ctx, q, mail.Message{Kind: mail.FactorEnrolled, User: user, FactorType: factor.Type})
	}
	if err != nil {
		return nil, err
	}
	in := &issued{refresh: token.NewRefresh(), ip: try.address}
	in.session, err = store.RaiseSession(ctx, q, store.Raise{
		SessionID: session.ID, UserID: user.ID, Method: factorMethods[factor.Type], FactorID: cmp.Or(try.proven, factor.ID), RefreshToken: in.refresh,
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, forbidden(codeSessionNotFound, "Session from session_id claim in JWT does not exist")
	}
	if err != nil {
		return nil, err
	}
	if in.user, err = store.UserByID(ctx, q, user.ID); err != nil {
		return nil, fmt.Errorf("auth: verify factor: %w", err)
	}
	if err := m.recount(ctx, q, in); err != nil {
		return nil, err
	}
	return in, m.mint(ctx, q, in, factorMethods[factor.Type])
}

// rejectedFactor is said when the app rejects an attempt without a word.
const rejectedFactor = "Further MFA verification attempts will be rejected."

// judgeAttempt asks the app about an attempt. With its rejection the user is
// signed out everywhere, be the answer right or not.
func (m *Module) judgeAttempt(ctx context.Context, q db.Queryer, try *attempt, valid bool) error {
	if !m.hooks.Enabled(hook.MFAVerification) {
		return nil
	}
	var verdict hook.Verdict
	err := m.callHook(ctx, hook.MFAVerification, hook.MFAInput{
		Metadata: hook.About(hook.MFAVerification, try.address), UserID: try.who.user.ID, FactorID: try.factor.ID, FactorType: try.factor.Type, Valid: valid,
	}, &verdict)
	if err != nil || !verdict.Rejected() {
		return err
	}
	if err := store.DeleteSessions(ctx, q, try.who.user.ID, ""); err != nil {
		return fmt.Errorf("auth: log out: %w", err)
	}
	return forbidden(codeMFARejected, cmp.Or(verdict.Message, rejectedFactor))
}
