package sms

import (
	"context"
	"net/http"
	"net/url"
)

// twilioVerify is Twilio Verify, API v2: it makes the code, sends it in a text of
// its own and checks it.
type twilioVerify struct {
	account
	service string
}

func newTwilioVerify(cfg TwilioVerifyConfig, at Endpoint) *twilioVerify {
	t := &twilioVerify{
		account: newAccount("twilio_verify", "https://verify.twilio.com", at, cfg.AuthToken.Reveal(), cfg.AccountSID, cfg.Service),
		service: "/v2/Services/" + url.PathEscape(cfg.Service),
	}
	t.authorize = func(r *http.Request) { r.SetBasicAuth(cfg.AccountSID, cfg.AuthToken.Reveal()) }
	return t
}

func (t *twilioVerify) send(ctx context.Context, m Message) (string, error) {
	var answer struct {
		twilioRefusal
		SID string `json:"sid"`
	}
	status, err := t.post(ctx, t.service+"/Verifications", url.Values{"To": {"+" + m.Phone}, "Channel": {m.Channel}}, &answer)
	if err != nil {
		return "", err
	}
	if !done(status) {
		return "", answer.of(t.account, status)
	}
	return answer.SID, nil
}

// check implements checker. Twilio answers 404 when no code is on its way, and
// 429 when one was tried too often.
func (t *twilioVerify) check(ctx context.Context, phone, code string) error {
	var answer struct {
		twilioRefusal
		Status any  `json:"status"`
		Valid  bool `json:"valid"`
	}
	status, err := t.post(ctx, t.service+"/VerificationCheck", url.Values{"To": {"+" + phone}, "Code": {code}}, &answer)
	switch {
	case err != nil:
		return err
	case status == http.StatusNotFound || status == http.StatusBadRequest || status == http.StatusTooManyRequests:
		return ErrWrongCode
	case !done(status):
		return answer.of(t.account, status)
	case answer.Status != "approved" || !answer.Valid:
		return ErrWrongCode
	}
	return nil
}
