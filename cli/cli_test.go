package cli_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/madbase/madbase/cli"
	"github.com/madbase/madbase/platform/secret"
)

// plane answers every request with status and body, and keeps the last one.
type plane struct {
	*httptest.Server
	status             int
	answer             string
	line, body, bearer string
}

func newPlane(t *testing.T) *plane {
	t.Helper()
	p := &plane{status: 200}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		p.line, p.body, p.bearer = r.Method+" "+r.URL.RequestURI(), string(text), r.Header.Get("Authorization")
		w.WriteHeader(p.status)
		_, _ = io.WriteString(w, p.answer)
	}))
	t.Cleanup(p.Close)
	return p
}

const password = "correct horse"

// run runs a command line against p; what the password was found beside is here.
func (p *plane) run(t *testing.T, in string, here bool, args ...string) (string, error) {
	t.Helper()
	root := &cobra.Command{Use: "madbase", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(cli.Commands(func(*cobra.Command) (cli.Target, error) {
		return cli.Target{URL: p.URL, Password: secret.String(password), Here: here}, nil
	})...)
	var out bytes.Buffer
	root.SetIn(strings.NewReader(in))
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestWhatCommandsSend(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ args, in, answer, line, body string }{
		{args: "settings set A=1 B=x=y C=- D=@" + file, in: "sesame\n", answer: `{}`, line: "PATCH /platform/v1/projects/default/settings?dry_run=false", body: `{"A":"1","B":"x=y","C":"sesame","D":"from a file"}`},
		{args: "settings unset A -p blog --dry-run", answer: `{}`, line: "PATCH /platform/v1/projects/blog/settings?dry_run=true", body: `{"A":null}`},
		{args: "settings import - --merge", in: `{"format": "x"}`, answer: `{}`, line: "POST /platform/v1/projects/default/settings/import?dry_run=false&merge=true", body: `{"format": "x"}`},
		{args: "project create Blog --ref blog --database-url -", in: "postgres://o:p@db/x\n", answer: `{}`, line: "POST /platform/v1/projects", body: `{"database_url":"postgres://o:p@db/x","name":"Blog","ref":"blog"}`},
		{args: "project rename blog Weblog", answer: `{}`, line: "PATCH /platform/v1/projects/blog", body: `{"name":"Weblog"}`},
		{args: "key create web --description d", answer: `{}`, line: "POST /platform/v1/projects/default/api-keys", body: `{"description":"d","name":"web","type":"publishable"}`},
		{args: "key update ID/.. --expires never", answer: `{}`, line: "PATCH /platform/v1/projects/default/api-keys/ID%2F..", body: `{"expires_at":null}`},
		{args: "key revoke anon --yes", answer: `{}`, line: "DELETE /platform/v1/projects/default/api-keys/anon"},
		{args: "signing-key rotate k", answer: `{}`, line: "POST /platform/v1/projects/default/signing-keys/k/rotate"},
		{args: "s3-key create backup", answer: `{}`, line: "POST /platform/v1/projects/default/s3/credentials", body: `{"description":"backup"}`},
		{args: "s3-key create u --role authenticated --sub x", answer: `{}`, line: "POST /platform/v1/projects/default/s3/credentials", body: `{"claims":{"role":"authenticated","sub":"x"},"description":"u"}`},
		{args: "s3-key revoke k --yes", line: "DELETE /platform/v1/projects/default/s3/credentials/k"},
		{args: "s3-key list -p blog", answer: `[]`, line: "GET /platform/v1/projects/blog/s3/credentials"},
		{args: "audit --limit 5 --action settings.", answer: `{}`, line: "GET /platform/v1/audit?action=settings.&limit=5&project="},
	} {
		p.answer = test.answer
		if out, err := p.run(t, test.in, false, strings.Fields(test.args)...); err != nil || p.line != test.line || p.body != test.body || p.bearer != "Bearer "+password {
			t.Errorf("%s: %v\n%s\n%s\n%s", test.args, err, out, p.line, p.body)
		}
	}
}

func TestWhatCommandsPrint(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	p.answer = `[{"id":"1","name":"a\u001b[31m","type":"secret","api_key":"sb_secret_x"}]`
	out, err := p.run(t, "", false, "key", "list")
	if err != nil || !strings.HasPrefix(out, "ID  NAME ") || strings.Contains(out, "\x1b") || strings.Count(out, "\n") != 2 {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := p.run(t, "", false, "key", "list", "--json"); err != nil || !strings.HasPrefix(out, "[\n  {\n    \"id\": \"1\",") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := p.run(t, "", false, "settings", "--help"); err != nil || !strings.Contains(out, "madbase settings set GOTRUE_SITE_URL=") || !strings.Contains(out, "export ") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWhatGoesWrongIsTold(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	for name, test := range map[string]struct {
		status int
		answer string
		args   string
		want   string
	}{
		"all faults":        {400, `{"error":"Bad","code":400,"detail":["one","two"]}`, "settings set A=1", "Bad\n  - one\n  - two"},
		"a detail":          {409, `{"error":"Bad","code":409,"detail":"so"}`, "key create x", "Bad: so"},
		"a wrong password":  {401, `{"error":"The password is wrong","code":401}`, "key list", "ADMIN_PASSWORD"},
		"another server":    {404, `<html>`, "key list", "is it a madbase"},
		"another answer":    {200, `<html>`, "key list", "no control plane"},
		"a redirect":        {302, ``, "key list", "is it a madbase"},
		"no value":          {200, `{}`, "settings set A", "A is not NAME=VALUE"},
		"no question asked": {200, `{}`, "key revoke x", "--yes"},
		"a bad moment":      {200, `{}`, "key create x --expires soon", "neither a duration"},
		"nothing changes":   {200, `{}`, "key update x", "say what is to change"},
		"no database":       {200, `{}`, "project create x --database-url -", "--database-url is empty"},
	} {
		p.status, p.answer = test.status, test.answer
		if out, err := p.run(t, "", false, strings.Fields(test.args)...); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error()+out, password) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// A password that was found beside a madbase here is for that one alone.
func TestThePasswordOfHereGoesNowhereElse(t *testing.T) {
	t.Parallel()
	p, other := newPlane(t), newPlane(t)
	p.answer, other.answer = "[]", "[]"
	if _, err := p.run(t, "", true, "key", "list", "--url", other.URL); err == nil || other.line != "" || !strings.Contains(err.Error(), "no password") {
		t.Errorf("%v, %s", err, other.line)
	}
	if _, err := p.run(t, "", true, "key", "list", "--url", p.URL); err != nil || p.bearer != "Bearer "+password {
		t.Errorf("%v, %s", err, p.bearer)
	}
	if _, err := p.run(t, "", false, "key", "list", "--url", other.URL); err != nil || other.bearer == "" {
		t.Errorf("%v", err)
	}
}
