package control_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/control"
)

// inbox is a list in memory.
type inbox struct{ mails []control.Mail }

func (i *inbox) Mails(_ context.Context, limit int) ([]control.Mail, error) {
	return i.mails[:min(limit, len(i.mails))], nil
}

func (i *inbox) Empty(context.Context) error {
	i.mails = nil
	return nil
}

func TestInbox(t *testing.T) {
	t.Parallel()
	box := &inbox{}
	for _, subject := range []string{"<script>alert(1)</script>", "Second"} {
		box.mails = append(box.mails, control.Mail{
			ID: "1", At: time.Now(), Kind: "recovery", To: "ann@example.com", Subject: subject, Code: "123456",
			Link: "http://localhost:8000/auth/v1/verify?token=x", HTML: `<p onclick="x()">123456</p></iframe><script>alert(2)</script>`,
		})
	}
	p := openWith(t, config(), func(d *control.Deps) { d.Inbox = box })
	status, header, body := p.call(t, "GET", "/inbox", "")
	if status != 200 || strings.Contains(body, "<script") || !strings.Contains(body, "sandbox=") || !strings.Contains(body, "ann@example.com") {
		t.Error(status, body)
	}
	if policy := header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Error(policy)
	}
	status, _, body = p.call(t, "GET", "/inbox.json?limit=1", "")
	var mails []control.Mail
	if err := json.Unmarshal([]byte(body), &mails); err != nil || status != 200 || len(mails) != 1 || mails[0].Code != "123456" {
		t.Error(status, body, err)
	}
	if status, _, _ = p.call(t, "GET", "/inbox.json?limit=-1", ""); status != 400 {
		t.Error(status)
	}
	if status, _, _ = p.call(t, "DELETE", "/inbox", ""); status != 204 || box.mails != nil {
		t.Error(status)
	}
}

// Codes sign people in, so nobody but the machine's own user sees them without the password.
func TestInboxIsForThisMachine(t *testing.T) {
	t.Parallel()
	p := openWith(t, config(), func(d *control.Deps) { d.Inbox = &inbox{} })
	address, _, _ := strings.Cut(strings.TrimPrefix(p.URL, "http://"), "/")
	get := func(change func(*http.Request)) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", p.URL+"/inbox.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		res, err := (&http.Client{}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	header := func(pairs ...string) func(*http.Request) {
		return func(r *http.Request) {
			for i := 0; i < len(pairs); i += 2 {
				r.Header.Set(pairs[i], pairs[i+1])
			}
		}
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"plain":                {header(), 200},
		"localhost":            {host("localhost:8000"), 200},
		"IPv6":                 {host("[::1]:8000"), 200},
		"own page":             {header("Origin", "http://"+address, "Sec-Fetch-Site", "same-origin"), 200},
		"typed":                {header("Sec-Fetch-Site", "none"), 200},
		"link elsewhere":       {header("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"), 200},
		"frame elsewhere":      {header("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"), 401},
		"script elsewhere":     {header("Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"), 401},
		"old browser's script": {header("Origin", "http://localhost:3000"), 401},
		"rebound name":         {host("evil.example:8000"), 401},
		"from elsewhere":       {header("X-Forwarded-For", "203.0.113.7"), 401},
		"from the network":     {header("X-Forwarded-For", "192.168.1.7"), 401},
		"with the password":    {header("X-Forwarded-For", "203.0.113.7", "Authorization", "Bearer "+password), 200},
	} {
		if got := get(c.change); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if status, _, _ := open(t, config()).call(t, "GET", "/inbox", ""); status != 404 {
		t.Errorf("without an inbox: %d", status)
	}
}
