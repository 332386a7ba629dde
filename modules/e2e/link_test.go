package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/testkit"
)

// TestLinkNeedsNoKey follows the link of a mail through the front door as a browser
// does, which knows no API key: it asks first, by setting, and then leads to the app.
func TestLinkNeedsNoKey(t *testing.T) {
	t.Parallel()
	s := alone(t, testkit.DataDir(t), "GOTRUE_MAILER_AUTOCONFIRM=false", "GOTRUE_SITE_URL=http://localhost:3000", "MADBASE_AUTH_CONFIRM_PAGE=true")
	ask := s.url + "/auth/v1/signup?redirect_to=" + url.QueryEscape("http://localhost:5173/welcome")
	if status := post(t, ask, s.keys.Anon.Reveal(), `{"email":"ann@example.com","password":"a password"}`); status != http.StatusOK {
		t.Fatal(status)
	}
	var mails []struct{ Link string }
	for end := time.Now().Add(20 * time.Second); len(mails) == 0; <-time.After(50 * time.Millisecond) {
		status, body := testkit.Get(t, s.url+"/platform/v1/inbox.json")
		if err := json.Unmarshal([]byte(body), &mails); err != nil || time.Now().After(end) {
			t.Fatal(status, body, err)
		}
	}
	link, err := url.Parse(mails[0].Link)
	if err != nil {
		t.Fatal(err)
	}
	verify := s.url + link.Path
	if page := browse(t, http.MethodGet, verify+"?"+link.RawQuery, nil); page.status != http.StatusOK || !strings.Contains(page.text, "<button") {
		t.Fatalf("%+v", page)
	}
	form := url.Values{"token": link.Query()["token"], "type": link.Query()["type"], "redirect_to": link.Query()["redirect_to"]}
	pressed := browse(t, http.MethodPost, verify, form)
	to, err := url.Parse(pressed.location)
	if err != nil || pressed.status != http.StatusSeeOther || to.Host != "localhost:5173" || to.Path != "/welcome" {
		t.Fatalf("%+v %v", pressed, err)
	}
	tokens, err := url.ParseQuery(to.EscapedFragment())
	if err != nil || tokens.Get("access_token") == "" {
		t.Fatalf("%s %v", to, err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/auth/v1/user", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("apikey", s.keys.Anon.Reveal())
	r.Header.Set("Authorization", "Bearer "+tokens.Get("access_token"))
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Error(response.Status)
	}
}

// browsed is what a browser gets, before it follows a redirect.
type browsed struct {
	status         int
	location, text string
}

// browse asks for a page without any key, or sends a form.
func browse(t *testing.T, method, address string, form url.Values) browsed {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return browsed{response.StatusCode, response.Header.Get("Location"), string(text)}
}
