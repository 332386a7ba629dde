// Package hook calls the app's own code at fixed points of auth: over HTTP,
// signed by Standard Webhooks, or as a function of the database. It follows
// GoTrue's bounds: five seconds and three tries over HTTP, two seconds in the
// database, answers of at most 200 KB.
package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
)

// Name is a hook, as its payload names it.
type Name string

// The hooks.
const (
	BeforeUserCreated    Name = "before-user-created"
	AfterUserCreated     Name = "after-user-created"
	CustomAccessToken    Name = "customize-access-token"
	SendEmail            Name = "send-email"
	SendSMS              Name = "send-sms"
	PasswordVerification Name = "password-verification"
	MFAVerification      Name = "mfa-verification"
)

// Codes of GoTrue's for what goes wrong with a hook.
const (
	codeContentType  = "hook_payload_invalid_content_type"
	codeOverSize     = "hook_payload_over_size_limit"
	codeTimeout      = "hook_timeout"
	codeTimeoutRetry = "hook_timeout_after_retry"
	codeUnexpected   = "unexpected_failure"
	codeUnknown      = "unknown"
)

const (
	timeoutHTTP     = 5 * time.Second
	timeoutDatabase = 2 * time.Second
	tries           = 3
	backoff         = 2 * time.Second
	maxAnswer       = 200 << 10
)

// Runner calls the hooks that are on.
type Runner struct {
	points  map[Name]point
	client  *http.Client
	log     *slog.Logger
	backoff time.Duration
	timeout time.Duration
}

type point struct {
	target
	uri     string
	signers []signer
}

// New returns a Runner of the hooks that cfg, which must be valid, turns on.
// Redirects are not followed: what is signed for one address is not for another.
func New(cfg Config, transport http.RoundTripper, log *slog.Logger) (*Runner, error) {
	r := &Runner{points: map[Name]point{}, log: log, backoff: backoff, timeout: timeoutHTTP, client: &http.Client{
		Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, s := range cfg.settings() {
		if !s.enabled {
			continue
		}
		where, err := parseTarget(s.uri)
		if err != nil {
			return nil, fmt.Errorf("hook: %s_URI %w", s.prefix, err)
		}
		signers, err := parseSigners(s.secrets)
		if err != nil {
			return nil, fmt.Errorf("hook: %s_SECRETS %w", s.prefix, err)
		}
		r.points[s.name] = point{where, s.uri, signers}
	}
	return r, nil
}

// Enabled reports whether the hook is on.
func (r *Runner) Enabled(name Name) bool {
	_, on := r.points[name]
	return on
}

// Remote reports whether the hook is on and called over HTTP, which may take
// seconds: not while a transaction is open.
func (r *Runner) Remote(name Name) bool { return r.points[name].url != "" }

// Call sends the payload to the hook and decodes its answer into out. It does
// nothing when the hook is off, and leaves out as it is when the hook answers
// with nothing. q is where a function of the database runs: a transaction of the
// caller's, whose rows the function then sees, or a pool. Every error is an
// *apierr.Error for the client, as GoTrue words it, or the end of ctx.
func (r *Runner) Call(ctx context.Context, q db.Queryer, name Name, payload, out any) error {
	p, on := r.points[name]
	if !on {
		return nil
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("hook: encode %s: %w", name, err)
	}
	start := time.Now()
	var answer []byte
	if p.url != "" {
		answer, err = r.post(ctx, p, body)
	} else {
		answer, err = store.CallFunction(ctx, q, store.Function{Schema: p.schema, Name: p.function, Timeout: timeoutDatabase}, body)
	}
	if err == nil {
		err = read(answer, out)
	}
	if err == nil {
		r.log.DebugContext(ctx, "hook ran", "hook", name, "took", time.Since(start))
		return nil
	}
	r.log.WarnContext(ctx, "hook failed", "hook", name, "took", time.Since(start), "error", err)
	if _, public := errors.AsType[*apierr.Error](err); public || ctx.Err() != nil {
		return err
	}
	return failed("Error running hook URI: " + p.uri).Because(err)
}

func failed(message string) *apierr.Error {
	return apierr.New(http.StatusInternalServerError, codeUnexpected, message)
}

// read decodes an answer, or returns the error that it tells of.
func read(answer []byte, out any) error {
	if len(answer) == 0 {
		return nil
	}
	var refusal struct {
		Error *struct {
			Status  int    `json:"http_code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(answer, &refusal); err == nil && refusal.Error != nil && refusal.Error.Message != "" {
		status, code := refusal.Error.Status, codeUnknown
		if status < http.StatusBadRequest || status > 599 {
			status = http.StatusInternalServerError
		}
		if status == http.StatusInternalServerError {
			code = codeUnexpected
		}
		return apierr.New(status, code, refusal.Error.Message)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return failed("Error unmarshaling JSON output.").Because(err)
	}
	return nil
}
