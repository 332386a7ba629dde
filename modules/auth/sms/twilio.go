package sms

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// twilio is Twilio's Programmable Messaging, API 2010-04-01.
type twilio struct {
	account
	path, sender, content string
}

func newTwilio(cfg TwilioConfig, at Endpoint) *twilio {
	t := &twilio{
		account: newAccount("twilio", "https://api.twilio.com", at, cfg.AuthToken.Reveal(), cfg.AccountSID),
		path:    "/2010-04-01/Accounts/" + url.PathEscape(cfg.AccountSID) + "/Messages.json",
		sender:  cfg.Sender, content: cfg.ContentSID,
	}
	t.authorize = func(r *http.Request) { r.SetBasicAuth(cfg.AccountSID, cfg.AuthToken.Reveal()) }
	return t
}

// twilioRefusal is the answer of both of Twilio's interfaces to what they do not take.
type twilioRefusal struct {
	Code     any    `json:"code"`
	Message  string `json:"message"`
	MoreInfo string `json:"more_info"`
}

// of makes the refusal an error; a bad request is the recipient's: a number that
// is none, is a landline or wants no messages.
func (r twilioRefusal) of(a account, status int) *Error {
	words := r.Message
	if r.MoreInfo != "" {
		words += " More information: " + r.MoreInfo
	}
	e := a.refused(status, r.Code, words)
	e.Recipient = status == http.StatusBadRequest
	return e
}

func (t *twilio) send(ctx context.Context, m Message) (string, error) {
	form := url.Values{"To": {"+" + m.Phone}, "Channel": {m.Channel}, "From": {t.sender}, "Body": {m.Text}}
	if m.Channel == ChannelWhatsApp {
		form.Set("To", "whatsapp:+"+m.Phone)
		if digits := Digits(t.sender); digits != "" && strings.Trim(digits, "0123456789") == "" {
			form.Set("From", "whatsapp:"+t.sender)
		}
		if t.content != "" {
			variables, err := json.Marshal(map[string]string{"1": m.Code})
			if err != nil {
				return "", t.failed(0, err)
			}
			form.Del("Body")
			form.Set("ContentSid", t.content)
			form.Set("ContentVariables", string(variables))
		}
	}
	var answer struct {
		twilioRefusal
		SID          string `json:"sid"`
		Status       any    `json:"status"` // a text, but the number of the HTTP status in a refusal
		ErrorCode    any    `json:"error_code"`
		ErrorMessage string `json:"error_message"`
	}
	status, err := t.post(ctx, t.path, form, &answer)
	switch {
	case err != nil:
		return "", err
	case !done(status):
		return "", answer.of(t.account, status)
	case answer.Status == "failed" || answer.Status == "undelivered":
		e := t.refused(status, answer.ErrorCode, answer.ErrorMessage)
		e.Recipient = true
		return "", e
	}
	return answer.SID, nil
}
