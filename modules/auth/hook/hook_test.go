package hook_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/auth/hook"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/secret"
)

var key = []byte("a key of more than 24 bytes, for tests")

func runner(t *testing.T, secrets string, answer http.HandlerFunc) *hook.Runner {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	cfg := hook.Config{SendEmailEnabled: true, SendEmailURI: server.URL + "/mail", SendEmailSecrets: secret.String(secrets)}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	r, err := hook.New(cfg, &http.Transport{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.Hurry(time.Millisecond, time.Second)
	return r
}

func TestCallSigns(t *testing.T) {
	t.Parallel()
	public, private, _ := ed25519.GenerateKey(nil)
	b64 := base64.StdEncoding.EncodeToString
	r := runner(t, "v1,whsec_"+b64(key)+"|v1a,whpk_"+b64(public)+":whsk_"+b64(private.Seed()), func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		content := []byte(r.Header.Get("Webhook-Id") + "." + r.Header.Get("Webhook-Timestamp") + "." + string(body))
		mac := hmac.New(sha256.New, key)
		mac.Write(content)
		signatures := strings.Split(r.Header.Get("Webhook-Signature"), " ")
		if len(signatures) != 2 || signatures[0] != "v1,"+b64(mac.Sum(nil)) {
			t.Errorf("signatures: %q", signatures)
		}
		second, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(signatures[1], "v1a,"))
		if !ed25519.Verify(public, content, second) {
			t.Error("the Ed25519 signature is wrong")
		}
		if string(body) != `{"a":1}` {
			t.Errorf("body: %s", body)
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, `{"decision":"continue"}`)
	})
	var out hook.Verdict
	if err := r.Call(t.Context(), nil, hook.SendEmail, map[string]int{"a": 1}, &out); err != nil || out.Decision != "continue" {
		t.Errorf("got %v, %v", out, err)
	}
	if err := r.Call(t.Context(), nil, hook.SendSMS, nil, nil); err != nil {
		t.Errorf("a hook that is off: %v", err)
	}
}

func TestCallRefuses(t *testing.T) {
	t.Parallel()
	json := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		}
	}
	status := func(status int, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if len(headers) > 0 {
				w.Header().Set(headers[0], headers[1])
			}
			w.WriteHeader(status)
		}
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		status int
		code   string
	}{
		"its own error":          {json(`{"error":{"http_code":403,"message":"no"}}`), 403, "unknown"},
		"an error without code":  {json(`{"error":{"message":"no"}}`), 500, "unexpected_failure"},
		"an error with code 200": {json(`{"error":{"http_code":200,"message":"no"}}`), 500, "unexpected_failure"},
		"an error without text":  {json(`{"error":{"http_code":403}}`), 0, ""},
		"nothing":                {status(204), 0, ""},
		"no JSON":                {json(`<`), 500, "unexpected_failure"},
		"an empty body":          {json(``), 500, "unexpected_failure"},
		"another type":           {status(200, "Content-Type", "text/html"), 400, "hook_payload_invalid_content_type"},
		"too much":               {json(`"` + strings.Repeat("x", 200<<10) + `"`), 422, "hook_payload_over_size_limit"},
		"bad request":            {status(400), 500, "unexpected_failure"},
		"unauthorized":           {status(401), 500, "unexpected_failure"},
		"a redirect":             {status(302, "Location", "/elsewhere"), 500, "unexpected_failure"},
		"busy":                   {status(503), 500, "unexpected_failure"},
		"busy, with a time":      {status(503, "Retry-After", "true"), 500, "unexpected_failure"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, runner(t, "", test.answer).Call(t.Context(), nil, hook.SendEmail, nil, &hook.Verdict{}), test.status, test.code)
		})
	}
}

func check(t *testing.T, err error, status int, code string) {
	t.Helper()
	if status == 0 {
		if err != nil {
			t.Error(err)
		}
		return
	}
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || e.Status != status || e.Code != code {
		t.Errorf("got %v, want %d %s", err, status, code)
	}
}

func TestCallTriesAgain(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	r := runner(t, "", func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) < 3 {
			w.Header().Set("Retry-After", "true")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if err := r.Call(t.Context(), nil, hook.SendEmail, nil, nil); err != nil || calls.Load() != 3 {
		t.Errorf("%d calls: %v", calls.Load(), err)
	}
	slow := runner(t, "", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server see the client go
		<-r.Context().Done()
	})
	slow.Hurry(time.Millisecond, 20*time.Millisecond)
	check(t, slow.Call(t.Context(), nil, hook.SendEmail, nil, nil), 422, "hook_timeout")
	gone := runner(t, "", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	check(t, gone.Call(t.Context(), nil, hook.SendEmail, nil, nil), 422, "hook_timeout_after_retry")
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{"http://example.com/x", "ftp://localhost/x", "pg-functions://postgres/public", "pg-functions://postgres/a-b/f", "https:///x", "::"} {
		if err := (hook.Config{SendSMSEnabled: true, SendSMSURI: uri}).Validate(); err == nil || !strings.Contains(err.Error(), "GOTRUE_HOOK_SEND_SMS_URI") {
			t.Errorf("%s: %v", uri, err)
		}
	}
	for _, uri := range []string{"https://example.com/x", "http://[::1]:9/x", "pg-functions://postgres/public/f"} {
		if err := (hook.Config{SendSMSEnabled: true, SendSMSURI: uri}).Validate(); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
	for _, bad := range []string{"whsec_x", "v1,whsec_c2hvcnQ=", "v1a,whpk_x", "v1,whsec_????"} {
		if (hook.Config{SendSMSURI: "https://example.com", SendSMSSecrets: secret.String(bad)}).Validate() == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
