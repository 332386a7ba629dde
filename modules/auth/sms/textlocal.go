package sms

import (
	"context"
	"fmt"
	"net/url"
)

// textLocal is TextLocal's interface in India.
type textLocal struct {
	account
	cfg TextLocalConfig
}

func newTextLocal(cfg TextLocalConfig, at Endpoint) *textLocal {
	return &textLocal{newAccount("textlocal", "https://api.textlocal.in", at, cfg.APIKey.Reveal()), cfg}
}

// TextLocal's codes of numbers that are none.
const (
	textLocalBadFormat = "32"
	textLocalNoNumber  = "51"
)

func (l *textLocal) send(ctx context.Context, m Message) (string, error) {
	var answer struct {
		Status string `json:"status"`
		Errors []struct {
			Code    any    `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
		Messages []struct {
			ID any `json:"id"`
		} `json:"messages"`
	}
	status, err := l.post(ctx, "/send", url.Values{
		"sender": {l.cfg.Sender}, "apikey": {l.cfg.APIKey.Reveal()}, "message": {m.Text}, "numbers": {m.Phone},
	}, &answer)
	if err != nil {
		return "", err
	}
	if answer.Status != "success" {
		e := l.refused(status, nil, "the message was not taken")
		if len(answer.Errors) > 0 {
			e = l.refused(status, answer.Errors[0].Code, answer.Errors[0].Message)
			e.Recipient = e.Code == textLocalBadFormat || e.Code == textLocalNoNumber
		}
		return "", e
	}
	if len(answer.Messages) > 0 && answer.Messages[0].ID != nil {
		return fmt.Sprint(answer.Messages[0].ID), nil
	}
	return "", nil
}
