package auth_test

import (
	"testing"
	"time"

	"github.com/madbase/madbase/modules/auth"
)

// Numbers whose codes are known.
const (
	phoneA, phoneB, testCode = "15550001001", "15550001002", "123456"
)

// phoneConfig is config with phone numbers, two of them with a fixed code.
func phoneConfig() auth.Config {
	cfg := config()
	cfg.PhoneEnabled, cfg.SMS.MaxEvery = true, time.Nanosecond
	cfg.SMS.TestOTP = phoneA + ":" + testCode + "," + phoneB + ":" + testCode
	return cfg
}

type fields = map[string]any

// addPhoneUser makes a user with a number as an administrator does.
func (s *server) addPhoneUser(phone, password string, confirmed bool) answer {
	s.t.Helper()
	return s.call("POST", "/admin/users", s.service(), fields{"phone": phone, "password": password, "phone_confirm": confirmed}).want(200, "")
}

func TestPhonePassword(t *testing.T) {
	t.Parallel()
	s := start(t, phoneConfig())
	s.addPhoneUser("+"+phoneA, "secret-1", true)
	s.addPhoneUser(phoneB, "secret-1", false)
	grant := func(body fields) answer { return s.call("POST", "/token?grant_type=password", "", body) }
	in := grant(fields{"phone": "+1 555 000 1001", "password": "secret-1"}).want(200, "")
	equal(t, "phone", in.str("user", "phone"), phoneA)
	equal(t, "claim", payload(t, in.str("access_token"))["phone"], phoneA)
	equal(t, "method", payload(t, in.str("access_token"))["amr"].([]any)[0].(fields)["method"], "password")
	equal(t, "audit", s.count(`SELECT count(*) FROM auth.audit_log_entries WHERE payload->>'action' = 'login' AND payload->'traits'->>'provider' = 'phone'`), 1)
	grant(fields{"phone": phoneB, "password": "secret-1"}).want(400, "phone_not_confirmed")
	wrong := grant(fields{"phone": phoneB, "password": "secret-2"}).want(400, "invalid_credentials")
	unknown := grant(fields{"phone": "15550009999", "password": "secret-2"}).want(400, "invalid_credentials")
	equal(t, "unknown and wrong", unknown.text, wrong.text)
	grant(fields{"phone": "not a number", "password": "secret-2"}).want(400, "invalid_credentials")
	grant(fields{"phone": phoneA, "email": "a@example.com", "password": "secret-2"}).want(400, "validation_failed")

	start(t, config()).call("POST", "/token?grant_type=password", "", fields{"phone": phoneA, "password": "secret-1"}).want(422, "phone_provider_disabled")
}
