package auth_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/platform/apierr"
)

func TestMailGoesToTheHook(t *testing.T) {
	t.Parallel()
	type input struct {
		Metadata struct{ Name string }
		User     map[string]any
		Data     map[string]string `json:"email_data"`
	}
	got := make(chan input, 10)
	refuse := false
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in input
		_ = json.NewDecoder(r.Body).Decode(&in)
		got <- in
		w.Header().Set("Content-Type", "application/json")
		if refuse {
			_, _ = w.Write([]byte(`{"error":{"http_code":403,"message":"not you"}}`))
			return
		}
		_, _ = w.Write([]byte(`{}`))
	}))
	defer app.Close()
	cfg := mailConfig(nil)
	cfg.Hooks.SendEmailEnabled, cfg.Hooks.SendEmailURI, cfg.Hooks.SendEmailSecrets = true, app.URL, "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	p := startPost(t, cfg)
	msg := p.message(mail.EmailChange)
	msg.NewEmail, msg.TokenNew, msg.TokenHashNew = "new@example.com", "654321", "newhash"
	p.send(msg)
	in := <-got
	equal(t, "email_data", in.Data, map[string]string{
		"token": "123456", "token_hash": "newhash", "token_new": "654321", "token_hash_new": "pkce_hash",
		"redirect_to": msg.RedirectTo, "email_action_type": "email_change", "site_url": "http://localhost:8000/auth/v1",
		"old_email": "", "old_phone": "", "provider": "", "factor_type": "",
	})
	equal(t, "user", []any{in.User["email"], in.User["new_email"], in.Metadata.Name}, []any{"ann@example.com", "new@example.com", "send-email"})
	msg.Token, msg.TokenHash = "", ""
	p.send(msg)
	in = <-got
	equal(t, "of the new address alone", []string{in.Data["token"], in.Data["token_hash"], in.Data["token_new"]}, []string{"654321", "newhash", ""})
	p.send(p.message(mail.MagicLink))
	in = <-got
	equal(t, "magic link", []string{in.Data["token"], in.Data["token_hash"], in.Data["email_action_type"]}, []string{"123456", "pkce_hash", "magiclink"})

	refuse = true
	var e *apierr.Error
	if err := p.m.SendMail(t.Context(), p.f.Project, p.message(mail.Reauthentication), nil); !errors.As(err, &e) || e.Status != 403 || e.Message != "not you" {
		t.Fatal(err)
	}
	var sent int
	if err := p.f.Owner.QueryRow(t.Context(), `SELECT count(reauthentication_sent_at) FROM auth.users`).Scan(&sent); err != nil || sent != 0 {
		t.Error(sent, err)
	}
	equal(t, "outbox", p.waiting(), 0)
}
