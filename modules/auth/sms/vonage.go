package sms

import (
	"context"
	"net/url"
	"slices"
	"unicode"
)

// vonage is Vonage's (once Nexmo's) SMS interface.
type vonage struct {
	account
	cfg VonageConfig
}

func newVonage(cfg VonageConfig, at Endpoint) *vonage {
	return &vonage{newAccount("vonage", "https://rest.nexmo.com", at, cfg.APISecret.Reveal(), cfg.APIKey.Reveal()), cfg}
}

// Vonage's statuses: invalid parameter, unroutable number, barred number.
var vonageRecipient = []string{"3", "6", "7"}

func (v *vonage) send(ctx context.Context, m Message) (string, error) {
	form := url.Values{
		"from": {v.cfg.From}, "to": {m.Phone}, "text": {m.Text}, "api_key": {v.cfg.APIKey.Reveal()}, "api_secret": {v.cfg.APISecret.Reveal()},
	}
	if slices.ContainsFunc([]rune(m.Text), func(r rune) bool { return r > unicode.MaxASCII }) {
		form.Set("type", "unicode")
	}
	var answer struct {
		Messages []struct {
			ID     string `json:"message-id"`
			Status string `json:"status"`
			Error  string `json:"error-text"`
		} `json:"messages"`
	}
	status, err := v.post(ctx, "/sms/json", form, &answer)
	if err != nil {
		return "", err
	}
	if len(answer.Messages) == 0 {
		return "", v.refused(status, nil, "the answer tells of no message")
	}
	first := answer.Messages[0]
	if first.Status != "0" {
		e := v.refused(status, first.Status, first.Error)
		e.Recipient = slices.Contains(vonageRecipient, first.Status)
		return "", e
	}
	return first.ID, nil
}
