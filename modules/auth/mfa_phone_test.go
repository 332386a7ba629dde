package auth_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/madbase/madbase/modules/auth"
)

func phoneFactorConfig() auth.Config {
	cfg := phoneConfig()
	cfg.MFA = mfaConfig().MFA
	cfg.MFA.PhoneEnroll, cfg.MFA.PhoneVerify = true, true
	return cfg
}

func (s *server) enrollPhone(token, phone string) string {
	s.t.Helper()
	return s.call("POST", "/factors", token, fields{"factor_type": "phone", "friendly_name": "phone " + phone, "phone": phone}).want(200, "").str("id")
}

// later makes a factor's last code one of long ago.
func (s *server) later(factorID string) {
	s.t.Helper()
	s.f.Exec(s.t, "UPDATE auth.mfa_factors SET last_challenged_at = last_challenged_at - interval '1 hour' WHERE id = $1", factorID)
}

func TestPhoneFactorLife(t *testing.T) {
	t.Parallel()
	s, phones := startPhones(t, phoneFactorConfig())
	token := s.signup("a@example.com", "secret1").str("access_token")
	enrolled := s.call("POST", "/factors", token, fields{"factor_type": "phone", "friendly_name": "mine", "phone": "+" + phoneC}).want(200, "")
	equal(t, "enrolled", enrolled.body, fields{"id": enrolled.str("id"), "type": "phone", "friendly_name": "mine", "phone": "+" + phoneC})
	id := enrolled.str("id")
	begun := s.call("POST", "/factors/"+id+"/challenge", token, fields{"channel": "sms"}).want(200, "")
	equal(t, "challenge", []any{begun.str("type"), begun.at("expires_at") != nil}, []any{"phone", true})
	code := phones.code(t, phoneC, 1)
	equal(t, "no code in the open", s.count("SELECT count(*) FROM auth.mfa_challenges WHERE otp_code LIKE '%'||$1||'%'", code), 0)
	wrong := "000000"
	if wrong == code {
		wrong = "000001"
	}
	path, answer := "/factors/"+id+"/verify", fields{"challenge_id": begun.str("id"), "code": code}
	s.call("POST", path, token, fields{"challenge_id": begun.str("id"), "code": wrong}).want(422, "mfa_verification_failed")
	raised := s.call("POST", path, token, answer).want(200, "")
	claims := payload(t, raised.str("access_token"))
	equal(t, "claims", []any{claims["aal"], claims["amr"].([]any)[0].(map[string]any)["method"] != claims["amr"].([]any)[1].(map[string]any)["method"]}, []any{"aal2", true})
	equal(t, "amr", s.count("SELECT count(*) FROM auth.mfa_amr_claims WHERE authentication_method = 'mfa/phone'"), 1)
	s.call("POST", path, raised.str("access_token"), answer).want(422, "mfa_ip_address_mismatch")

	token = raised.str("access_token")
	soon := s.call("POST", "/factors/"+id+"/challenge", token, nil).want(429, "over_sms_send_rate_limit")
	equal(t, "retry", soon.header.Get("Retry-After") != "", true)
	s.call("POST", "/factors", token, fields{"factor_type": "phone", "friendly_name": "again", "phone": phoneC}).want(422, "mfa_verified_factor_exists")
	s.later(id)
	s.call("POST", "/factors/"+id+"/challenge", token, fields{"channel": "pigeon"}).want(400, "validation_failed")
	s.call("POST", "/factors/"+id+"/challenge", token, nil).want(200, "")
	phones.code(t, phoneC, 2)
	s.call("PUT", "/admin/users/"+raised.str("user", "id")+"/factors/"+id, s.service(), fields{"phone": "+4915200000002"}).want(200, "")
	equal(t, "number", s.count("SELECT count(*) FROM auth.mfa_factors WHERE phone = '4915200000002'"), 1)
	s.call("PUT", "/admin/users/"+raised.str("user", "id")+"/factors/"+id, s.service(), fields{"phone": "x"}).want(400, "validation_failed")
}

func TestPhoneFactorRules(t *testing.T) {
	t.Parallel()
	s, phones := startPhones(t, phoneFactorConfig())
	token := s.signup("a@example.com", "secret1").str("access_token")
	s.call("POST", "/factors", token, fields{"factor_type": "phone"}).want(400, "validation_failed")
	s.call("POST", "/factors", token, fields{"factor_type": "phone", "phone": "x"}).want(400, "validation_failed")
	first := s.enrollPhone(token, phoneC)
	id := s.enrollPhone(token, "+"+phoneC) // in place of the unverified one
	s.call("DELETE", "/factors/"+first, token, nil).want(404, "mfa_factor_not_found")

	phones.refuses(`{"messages":[{"status":"9","error-text":"Partner quota exceeded"}]}`)
	s.call("POST", "/factors/"+id+"/challenge", token, nil).want(422, "sms_send_failed")
	equal(t, "challenges", s.count("SELECT count(*) FROM auth.mfa_challenges"), 0)
	phones.refuses("")
	begun := s.call("POST", "/factors/"+id+"/challenge", token, nil).want(200, "") // at once, since none was sent

	// A code is for its own challenge only.
	code := phones.code(t, phoneC, 1)
	s.later(id)
	next := s.call("POST", "/factors/"+id+"/challenge", token, nil).want(200, "")
	if code != phones.code(t, phoneC, 2) {
		s.call("POST", "/factors/"+id+"/verify", token, fields{"challenge_id": next.str("id"), "code": code}).want(422, "mfa_verification_failed")
	}
	s.call("POST", "/factors/"+id+"/verify", token, fields{"challenge_id": begun.str("id"), "code": code}).want(200, "")

	// A number with a fixed code gets no message.
	token = s.signup("b@example.com", "secret1").str("access_token")
	id = s.enrollPhone(token, phoneA)
	begun = s.call("POST", "/factors/"+id+"/challenge", token, nil).want(200, "")
	s.call("POST", "/factors/"+id+"/verify", token, fields{"challenge_id": begun.str("id"), "code": testCode}).want(200, "")
}

// However many ask at once, one message leaves.
func TestPhoneFactorFrequencyAtOnce(t *testing.T) {
	t.Parallel()
	s, phones := startPhones(t, phoneFactorConfig())
	token := s.signup("a@example.com", "secret1").str("access_token")
	id := s.enrollPhone(token, phoneC)
	var wait sync.WaitGroup
	for range 5 {
		wait.Go(func() { s.call("POST", "/factors/"+id+"/challenge", token, nil) })
	}
	wait.Wait()
	phones.code(t, phoneC, 1)
}

func TestPhoneFactorsDisabled(t *testing.T) {
	t.Parallel()
	cfg := phoneFactorConfig()
	cfg.MFA.PhoneVerify = false
	s, _ := startPhones(t, cfg)
	token := s.signup("a@example.com", "secret1").str("access_token")
	id := s.enrollPhone(token, phoneC)
	s.call("POST", "/factors/"+id+"/challenge", token, nil).want(422, "mfa_phone_verify_not_enabled")
	s.call("POST", "/factors/"+id+"/verify", token, fields{"code": "123456"}).want(422, "mfa_phone_verify_not_enabled")
}

// The app's hook may refuse a try, right or wrong; the user is then signed out everywhere.
func TestFactorHookRejects(t *testing.T) {
	t.Parallel()
	cfg := mfaConfig()
	cfg.Hooks.MFAVerificationEnabled, cfg.Hooks.MFAVerificationURI = true, "pg-functions://postgres/public/judge"
	s := start(t, cfg)
	s.f.Exec(t, `CREATE TABLE public.seen (valid boolean, type text)`)
	s.f.Exec(t, `GRANT ALL ON public.seen TO PUBLIC`)
	s.f.Exec(t, `CREATE FUNCTION public.judge(event jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
		BEGIN
			INSERT INTO public.seen VALUES ((event->>'valid')::boolean, event->>'factor_type');
			RETURN CASE WHEN (SELECT count(*) FROM public.seen WHERE NOT valid) > 1 THEN '{"decision":"reject","message":"Enough."}'::jsonb ELSE '{"decision":"continue"}' END;
		END $$`)
	s.f.Exec(t, `GRANT USAGE ON SCHEMA public TO supabase_auth_admin`)
	s.f.Exec(t, `GRANT EXECUTE ON FUNCTION public.judge TO PUBLIC`)
	token := s.signup("a@example.com", "secret1").str("access_token")
	app := s.enroll(token, "app")
	wrong := fmt.Sprintf("%06d", (mustInt(t, app.code())+500_000)%1_000_000)
	token = s.verify(token, app, app.code()).want(200, "").str("access_token")
	s.verify(token, app, wrong).want(422, "mfa_verification_failed")
	a := s.verify(token, app, wrong).want(http.StatusForbidden, "mfa_verification_rejected")
	equal(t, "message", a.str("msg"), "Enough.")
	s.call("GET", "/user", token, nil).want(403, "session_not_found")
	equal(t, "seen", s.count("SELECT count(*) FROM public.seen WHERE type = 'totp'"), 3)
}

func mustInt(t *testing.T, text string) (n int) {
	t.Helper()
	if _, err := fmt.Sscanf(text, "%d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}
