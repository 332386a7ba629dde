package e2e_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/testkit"
)

// TestKillBeforeMailLeaves kills madbase while a mail waits for a mail server that
// is not there: the next process has it, and its code still counts.
func TestKillBeforeMailLeaves(t *testing.T) {
	t.Parallel()
	dir, confirm := testkit.DataDir(t), []string{"GOTRUE_MAILER_AUTOCONFIRM=false", "GOTRUE_SITE_URL=http://localhost:3000"}
	s := alone(t, dir, append(confirm, "GOTRUE_SMTP_HOST=127.0.0.1", "GOTRUE_SMTP_PORT=1")...)
	post := func(path string, body map[string]string) int {
		t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		status, _ := s.send(t, http.MethodPost, s.url+path, bytes.NewReader(text), int64(len(text)))
		return status
	}
	if status := post("/auth/v1/signup", map[string]string{"email": "ann@example.com", "password": "a password"}); status != http.StatusOK {
		t.Fatal(status)
	}
	s.proxy.Kill()

	s = alone(t, dir, confirm...) // without a mail server: to the dev inbox
	// A mail that was on its way to the server is held for a minute after its process has died.
	var mails []struct{ To, Code string }
	for end := time.Now().Add(90 * time.Second); len(mails) == 0; <-time.After(50 * time.Millisecond) {
		status, body := testkit.Get(t, s.url+"/platform/v1/inbox.json")
		if err := json.Unmarshal([]byte(body), &mails); err != nil || time.Now().After(end) {
			t.Fatal(status, body, err)
		}
	}
	if len(mails) != 1 || mails[0].To != "ann@example.com" {
		t.Fatalf("%+v", mails)
	}
	if status := post("/auth/v1/verify", map[string]string{"type": "signup", "email": "ann@example.com", "token": mails[0].Code}); status != http.StatusOK {
		t.Error(status)
	}
}
