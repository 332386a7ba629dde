package sms

import (
	"context"
	"net/http"
	"net/url"
)

// messageBird is MessageBird's REST interface.
type messageBird struct {
	account
	originator string
}

func newMessageBird(cfg MessageBirdConfig, at Endpoint) *messageBird {
	b := &messageBird{newAccount("messagebird", "https://rest.messagebird.com", at, cfg.AccessKey.Reveal()), cfg.Originator}
	b.authorize = func(r *http.Request) { r.Header.Set("Authorization", "AccessKey "+cfg.AccessKey.Reveal()) }
	return b
}

func (b *messageBird) send(ctx context.Context, m Message) (string, error) {
	var answer struct {
		ID         string `json:"id"`
		Recipients struct {
			Sent int `json:"totalSentCount"`
		} `json:"recipients"`
		Errors []struct {
			Code        any    `json:"code"`
			Description string `json:"description"`
			Parameter   string `json:"parameter"`
		} `json:"errors"`
	}
	status, err := b.post(ctx, "/messages", url.Values{
		"originator": {b.originator}, "body": {m.Text}, "recipients": {m.Phone}, "type": {"sms"}, "datacoding": {"unicode"},
	}, &answer)
	switch {
	case err != nil:
		return "", err
	case len(answer.Errors) > 0:
		first := answer.Errors[0]
		e := b.refused(status, first.Code, first.Description)
		e.Recipient = first.Parameter == "recipients"
		return "", e
	case !done(status):
		return "", b.refused(status, nil, "")
	case answer.Recipients.Sent == 0:
		return "", b.refused(status, nil, "no message was sent")
	}
	return answer.ID, nil
}
