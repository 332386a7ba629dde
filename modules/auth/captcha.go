package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/secret"
)

// CaptchaConfig asks for proof that a person is at work.
type CaptchaConfig struct {
	Enabled  bool          `env:"GOTRUE_SECURITY_CAPTCHA_ENABLED" default:"false" doc:"Ask for a solved captcha where strangers sign up or in, or have codes sent." group:"optional"`
	Provider string        `env:"GOTRUE_SECURITY_CAPTCHA_PROVIDER" default:"hcaptcha" doc:"Who judges captchas: hcaptcha or turnstile." group:"optional"`
	Secret   secret.String `env:"GOTRUE_SECURITY_CAPTCHA_SECRET" doc:"Key that the provider knows this project by." group:"optional"`
	Timeout  time.Duration `env:"GOTRUE_SECURITY_CAPTCHA_TIMEOUT" default:"10s" doc:"How long the provider may take." group:"optional"`
}

// captchaURLs are where the providers judge.
// https://docs.hcaptcha.com/#verify-the-user-response-server-side
// https://developers.cloudflare.com/turnstile/get-started/server-side-validation/
var captchaURLs = map[string]string{
	"hcaptcha":  "https://hcaptcha.com/siteverify",
	"turnstile": "https://challenges.cloudflare.com/turnstile/v0/siteverify",
}

// Validate names each faulty setting.
func (c CaptchaConfig) Validate() error {
	if !c.Enabled {
		return nil
	}
	var errs []error
	if captchaURLs[c.Provider] == "" {
		errs = append(errs, fmt.Errorf("GOTRUE_SECURITY_CAPTCHA_PROVIDER: %q is neither hcaptcha nor turnstile", c.Provider))
	}
	if c.Secret == "" {
		errs = append(errs, errors.New("GOTRUE_SECURITY_CAPTCHA_SECRET is missing"))
	}
	if c.Timeout < 0 {
		errs = append(errs, errors.New("GOTRUE_SECURITY_CAPTCHA_TIMEOUT must not be negative"))
	}
	return errors.Join(errs...)
}

// withCaptcha makes a route of one that asks for a solved captcha, where the
// settings want it; administrators need none.
func (m *Module) withCaptcha(h echo.HandlerFunc) echo.HandlerFunc {
	if !m.cfg.Captcha.Enabled {
		return h
	}
	return func(c echo.Context) error {
		if _, err := m.adminOf(c); err == nil {
			return h(c)
		}
		body, err := wholeBody(c)
		if err != nil {
			return err
		}
		c.Request().Body = io.NopCloser(bytes.NewReader(body))
		var req struct {
			Security struct {
				Token string `json:"captcha_token"`
			} `json:"gotrue_meta_security"`
		}
		if err := decode(body, &req); err != nil {
			return err
		}
		if err := m.solved(c, strings.TrimSpace(req.Security.Token)); err != nil {
			return err
		}
		return h(c)
	}
}

// tokenCaptcha is withCaptcha for the grants that begin a session by what anyone may try.
func (m *Module) tokenCaptcha(h echo.HandlerFunc) echo.HandlerFunc {
	asks := m.withCaptcha(h)
	return func(c echo.Context) error {
		if slices.Contains([]string{"pkce", "refresh_token", "id_token"}, c.QueryParam("grant_type")) {
			return h(c)
		}
		return asks(c)
	}
}

// solved has the provider judge a captcha's token.
func (m *Module) solved(c echo.Context, answer string) error {
	if answer == "" {
		return badRequest(codeCaptchaFailed, "captcha protection: request disallowed (no captcha_token found)")
	}
	if err := m.allow(c.Request(), "captcha", m.cfg.RateLimitTokenRefresh, 5*time.Minute); err != nil {
		return err
	}
	verdict, err := m.judgeCaptcha(c.Request().Context(), answer, m.client(c.Request()).ip)
	if err != nil {
		return apierr.New(http.StatusInternalServerError, codeUnexpected, "captcha verification process failed").Because(err)
	}
	if !verdict.Success {
		return badRequest(codeCaptchaFailed, "captcha protection: request disallowed ("+strings.Join(verdict.Reasons, ", ")+")")
	}
	return nil
}

type captchaVerdict struct {
	Success bool     `json:"success"`
	Reasons []string `json:"error-codes"`
}

func (m *Module) judgeCaptcha(ctx context.Context, answer, ip string) (verdict captchaVerdict, err error) {
	if m.cfg.Captcha.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, m.cfg.Captcha.Timeout)
		defer cancel()
	}
	form := url.Values{"secret": {strings.TrimSpace(m.cfg.Captcha.Secret.Reveal())}, "response": {answer}, "remoteip": {ip}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, captchaURLs[m.cfg.Captcha.Provider], strings.NewReader(form.Encode()))
	if err != nil {
		return verdict, fmt.Errorf("auth: captcha: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := m.deps.Transport.RoundTrip(req)
	if err != nil {
		return verdict, fmt.Errorf("auth: captcha: %w", err)
	}
	defer resp.Body.Close()
	const longest = 64 << 10
	if err := json.NewDecoder(io.LimitReader(resp.Body, longest)).Decode(&verdict); err != nil {
		return verdict, fmt.Errorf("auth: captcha: %w", err)
	}
	return verdict, nil
}
