package auth_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/modules/auth/sms"
)

// twilioVerify stands for Twilio Verify, which alone knows the code: 777777 of the
// number that asked last, once.
type twilioVerify struct{ pending atomic.Value }

func (v *twilioVerify) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	to := r.Form.Get("To")
	switch {
	case strings.HasSuffix(r.URL.Path, "/Verifications"):
		v.pending.Store(to)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"sid":"VE1","status":"pending"}`)
	case v.pending.Load() != to:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"code":20404,"status":404}`)
	case r.Form.Get("Code") != "777777":
		_, _ = io.WriteString(w, `{"status":"pending","valid":false}`)
	default:
		v.pending.Store("")
		_, _ = io.WriteString(w, `{"status":"approved","valid":true}`)
	}
}

func TestTwilioVerify(t *testing.T) {
	t.Parallel()
	h := httptest.NewServer(&twilioVerify{})
	t.Cleanup(h.Close)
	cfg := phoneConfig()
	cfg.SMS.Provider = "twilio_verify"
	cfg.SMS.TwilioVerify = sms.TwilioVerifyConfig{AccountSID: "AC1", AuthToken: "s3cret", Service: "VA1"}
	cfg.Flow.RequireReauth = true
	s := start(t, cfg, func(d *auth.Deps) { d.SMS.BaseURL = h.URL })
	s.call("POST", "/signup", "", fields{"phone": phoneC, "password": "secret-1", "channel": "whatsapp"}).want(200, "")
	s.verifySMS("sms", phoneC, "777776").want(403, "otp_expired")
	in := s.verifySMS("sms", phoneC, "777777").want(200, "").str("access_token")
	s.verifySMS("sms", phoneC, "777777").want(403, "otp_expired")

	equal(t, "id", s.call("POST", "/otp", "", fields{"phone": phoneC}).want(200, "").body, fields{"message_id": "VE1"})
	s.f.Exec(t, `UPDATE auth.users SET confirmation_token = ''`)
	s.verifySMS("sms", phoneC, "777777").want(403, "otp_expired") // the provider knows it, but it is not one for this

	s.f.Exec(t, `UPDATE auth.sessions SET created_at = now() - interval '25 hours'`)
	s.call("GET", "/reauthenticate", in, nil).want(200, "")
	s.call("PUT", "/user", in, fields{"password": "secret-2", "nonce": "777776"}).want(403, "otp_expired")
	s.call("PUT", "/user", in, fields{"password": "secret-2", "nonce": "777777"}).want(200, "")
	s.call("PUT", "/user", in, fields{"phone": "4915200000002"}).want(200, "")
	s.verifySMS("phone_change", "4915200000002", "777777").want(200, "")
	s.call("POST", "/otp", "", fields{"phone": phoneA}).want(200, "")
	s.verifySMS("sms", phoneA, testCode).want(200, "")
}

// The app's hook sends instead of a provider, and its refusal leaves nothing.
func TestSendSMSHook(t *testing.T) {
	t.Parallel()
	var refuse atomic.Bool
	var seen atomic.Value
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body fields
		_ = json.NewDecoder(r.Body).Decode(&body)
		seen.Store(body)
		w.Header().Set("Content-Type", "application/json")
		if refuse.Load() {
			_, _ = io.WriteString(w, `{"error":{"http_code":403,"message":"not you"}}`)
			return
		}
		_, _ = io.WriteString(w, `{}`)
	}))
	t.Cleanup(h.Close)
	cfg := phoneConfig()
	cfg.SMS.Provider, cfg.SMS.OTPLength = "", 8
	cfg.Hooks.SendSMSEnabled, cfg.Hooks.SendSMSURI = true, h.URL
	s := start(t, cfg)
	refuse.Store(true)
	s.call("POST", "/signup", "", fields{"phone": phoneC, "password": "secret-1"}).want(403, "unknown")
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 0)
	refuse.Store(false)
	s.call("POST", "/signup", "", fields{"phone": phoneC, "password": "secret-1", "channel": "carrier pigeon"}).want(200, "")
	body := seen.Load().(fields)
	equal(t, "number", body["sms"].(fields)["phone"], phoneC)
	equal(t, "user", body["user"].(fields)["phone"], phoneC)
	code := body["sms"].(fields)["otp"].(string)
	equal(t, "digits", len(code), 8)
	s.verifySMS("sms", phoneC, code).want(200, "")
}

func TestNoSMSProvider(t *testing.T) {
	t.Parallel()
	cfg := phoneConfig()
	cfg.SMS.Provider = ""
	s := start(t, cfg)
	s.call("POST", "/otp", "", fields{"phone": phoneC}).want(500, "unexpected_failure")
	s.call("POST", "/otp", "", fields{"phone": phoneA}).want(200, "")
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 1)

	s = start(t, cfg, func(d *auth.Deps) { d.InboxURL = "http://localhost:8000/platform/v1/inbox" })
	s.call("POST", "/otp", "", fields{"phone": phoneC}).want(200, "")
	equal(t, "inbox", s.count(`SELECT count(*) FROM madbase.auth_outbox WHERE kind = 'sms' AND due_at IS NULL`), 1)
}
