package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/modules/control"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/migrate"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testdb"
	"github.com/madbase/madbase/platform/testkit"
	"github.com/madbase/madbase/sql"
)

// fewSettings are LIMIT, a number also called MAX, SITE, a text, and PASSWORD, a secret;
// HIGH only goes with a LIMIT above 10.
type fewSettings struct{}

func (fewSettings) Find(name string) (control.Setting, error) {
	switch name {
	case "LIMIT", "MAX":
		return control.Setting{Name: "LIMIT", Type: "number", Default: "5"}, nil
	case "SITE", "HIGH":
		return control.Setting{Name: name, Type: "text"}, nil
	case "PASSWORD":
		return control.Setting{Name: name, Type: "secret", Secret: true}, nil
	}
	return control.Setting{}, fmt.Errorf("%q is not a setting", name)
}

func (s fewSettings) Effective(stored map[string]secret.String) (values []control.SettingValue, _ error) {
	var list []error
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		if _, err := s.Find(name); err != nil {
			list = append(list, err)
		}
	}
	limit, err := strconv.Atoi(string("0" + stored["LIMIT"]))
	if err != nil {
		list = append(list, errors.New("LIMIT is not a number"))
	}
	if stored["HIGH"] != "" && limit <= 10 {
		list = append(list, errors.New("HIGH needs a LIMIT above 10"))
	}
	for _, name := range []string{"HIGH", "LIMIT", "PASSWORD", "SITE"} {
		found, _ := s.Find(name)
		text := stored[name].Reveal()
		if found.Secret {
			text = stored[name].String()
		}
		values = append(values, control.SettingValue{Setting: found, Value: text})
	}
	return values, errors.Join(list...)
}

// registered is a plane with a registry in a database of its own.
type registered struct {
	*plane
	reg *registry.Registry
	url string
}

func openRegistered(t *testing.T) *registered {
	t.Helper()
	lines := []migrate.Line{{Name: "platform", Files: sql.Line("platform")}}
	name, err := migrate.Checksum(lines...)
	if err != nil {
		t.Fatal(err)
	}
	url := testdb.New(t, testdb.Template{Name: name, Build: func(ctx context.Context, url string) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		return errors.Join(migrate.Run(ctx, conn, testkit.Log(), lines, nil), conn.Close(ctx))
	}})
	sealer, err := registry.NewSealer(registry.Config{}, jwtSecret)
	if err != nil {
		t.Fatal(err)
	}
	reg, err := registry.New(t.Context(), registry.Options{OwnerURL: url, Sealer: sealer, Log: testkit.Log()})
	if err == nil {
		t.Cleanup(func() { _ = reg.Close() })
		err = reg.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	p := openWith(t, config(), func(d *control.Deps) {
		d.Registry, d.Settings, d.S3Keys = reg, fewSettings{}, &s3Keys{}
		d.Keys = func(string) (*claims.Keys, error) { return claims.NewKeys(claims.Config{Secret: jwtSecret}) }
	})
	return &registered{p, reg, url}
}

// ask sends a request as the administrator, checks the status and decodes the answer.
func (p *registered) ask(t *testing.T, method, path, body string, want int, into any) string {
	t.Helper()
	status, _, got := p.call(t, method, path, body, bearer(password)...)
	if status != want {
		t.Fatalf("%s %s: %d %s", method, path, status, got)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(got), into); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
	}
	return got
}

const settingsPath = "/projects/default/settings"

func TestSettingsAreStoredOnlyTogether(t *testing.T) {
	t.Parallel()
	p := openRegistered(t)
	p.ask(t, http.MethodPatch, settingsPath, `{"MAX":20,"HIGH":true,"SITE":["a","b"],"PASSWORD":"sesame"}`, 200, nil)
	var shown struct {
		Version  int64
		Settings []struct{ Name, Value, Source string }
	}
	text := p.ask(t, http.MethodGet, settingsPath, "", 200, &shown)
	if got := fmt.Sprint(shown.Settings); got != "[{HIGH true project} {LIMIT 20 project} {PASSWORD [redacted] project} {SITE a,b project}]" || strings.Contains(text, "sesame") {
		t.Errorf("got %s", text)
	}
	var fault struct {
		Code   int
		Detail []string
	}
	p.ask(t, http.MethodPatch, settingsPath, `{"LIMIT":null,"SITE":"x","DATABASE_URL":"postgres://x","NONSENSE":{"a":1}}`, 400, &fault)
	if len(fault.Detail) != 1 || !strings.Contains(fault.Detail[0], "NONSENSE") {
		t.Errorf("got %v", fault)
	}
	p.ask(t, http.MethodPatch, settingsPath, `{"LIMIT":null,"SITE":"x","DATABASE_URL":"postgres://x"}`, 400, &fault)
	if got := fmt.Sprint(fault.Detail); got != `["DATABASE_URL" is not a setting HIGH needs a LIMIT above 10]` {
		t.Errorf("got %s", got)
	}
	p.ask(t, http.MethodPatch, settingsPath, `{"SITE":"nul\u0000"}`, 400, nil)
	p.ask(t, http.MethodPatch, settingsPath, `{"LIMIT":1,"MAX":2}`, 400, nil)
	p.ask(t, http.MethodPatch, settingsPath, `[1]`, 400, nil)
	p.ask(t, http.MethodPatch, settingsPath+"?dry_run=true", `{"SITE":"dry"}`, 200, nil)
	before := shown.Version
	if p.ask(t, http.MethodGet, settingsPath, "", 200, &shown); shown.Version != before {
		t.Error("a change that was refused has changed something")
	}
	p.ask(t, http.MethodPatch, settingsPath, `{"HIGH":null,"LIMIT":null}`, 200, &shown)
	if len(shown.Settings) != 2 || shown.Version <= before {
		t.Errorf("got %+v", shown)
	}
	p.ask(t, http.MethodGet, settingsPath+"?all=true", "", 200, &shown)
	if len(shown.Settings) != 4 || shown.Settings[0].Source != "process" {
		t.Errorf("got %+v", shown)
	}
	p.ask(t, http.MethodPatch, "/projects/none/settings", `{}`, 404, nil)
	p.ask(t, http.MethodGet, "/projects/none/settings", "", 404, nil)
}

func TestSettingsGoByOneFile(t *testing.T) {
	t.Parallel()
	p := openRegistered(t)
	p.ask(t, http.MethodPatch, settingsPath, `{"LIMIT":7,"PASSWORD":"sesame"}`, 200, nil)
	masked := p.ask(t, http.MethodGet, settingsPath+"/export", "", 200, nil)
	sealed := p.ask(t, http.MethodGet, settingsPath+"/export?secrets=true", "", 200, nil)
	if strings.Contains(masked+sealed, "sesame") || !strings.Contains(masked, `"secrets":{"PASSWORD":""}`) {
		t.Errorf("got %s\n%s", masked, sealed)
	}
	p.ask(t, http.MethodPatch, settingsPath, `{"LIMIT":8,"SITE":"x","PASSWORD":"other"}`, 200, nil)
	stored := func() string {
		t.Helper()
		project, _ := p.reg.Snapshot().Project("default")
		values, err := p.reg.Values(project)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, name := range slices.Sorted(maps.Keys(values)) {
			text += name + "=" + values[name].Reveal() + " "
		}
		return text
	}
	for _, step := range []struct{ file, query, want string }{
		{masked, "?merge=true", "LIMIT=7 PASSWORD=other SITE=x "},
		{masked, "", "LIMIT=7 PASSWORD=other "},
		{sealed, "", "LIMIT=7 PASSWORD=sesame "},
	} {
		p.ask(t, http.MethodPost, settingsPath+"/import"+step.query, step.file, 200, nil)
		if got := stored(); got != step.want {
			t.Errorf("%s: got %s", step.query, got)
		}
	}
	for name, file := range map[string]string{
		"another form":    `{"format":"x"}`,
		"a broken secret": strings.Replace(sealed, `"PASSWORD":"`, `"PASSWORD":"AAAA`, 1),
		"another place":   strings.Replace(sealed, `"PASSWORD":`, `"SITE":`, 1),
		"a missing one":   `{"format":"madbase/settings/1","secrets":{"OTHER":""}}`,
		"a wrong value":   `{"format":"madbase/settings/1","settings":{"LIMIT":"x"}}`,
	} {
		if status, _, body := p.call(t, http.MethodPost, settingsPath+"/import", file, bearer(password)...); status != 400 || strings.Contains(body, "sesame") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if got := stored(); got != "LIMIT=7 PASSWORD=sesame " {
		t.Errorf("after refused imports: %s", got)
	}
}

type shownKey struct {
	ID, Name, Type, APIKey, Description     string
	ExpiresAt, RevokedAt, LastUsedAt, Added string
}

func (p *registered) keys(t *testing.T, query string) map[string]shownKey {
	t.Helper()
	var list []shownKey
	text := p.ask(t, http.MethodGet, "/projects/default/api-keys"+query, "", 200, nil)
	if err := json.Unmarshal([]byte(plain(text)), &list); err != nil {
		t.Fatal(err)
	}
	byID := map[string]shownKey{}
	for _, k := range list {
		byID[k.ID] = k
	}
	return byID
}

// plain has the names of JSON fields as Go's.
func plain(text string) string {
	return strings.NewReplacer("api_key", "apikey", "expires_at", "expiresat", "revoked_at", "revokedat", "last_used_at", "lastusedat").Replace(text)
}

func TestAPIKeysAreMadeChangedAndRevoked(t *testing.T) {
	t.Parallel()
	p := openRegistered(t)
	const path = "/projects/default/api-keys"
	var made shownKey
	end := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	text := p.ask(t, http.MethodPost, path, `{"type":"secret","name":"ci","description":"builds","expires_at":"`+end+`"}`, 201, nil)
	if err := json.Unmarshal([]byte(plain(text)), &made); err != nil || !strings.HasPrefix(made.APIKey, "sb_secret_") || made.ExpiresAt != end {
		t.Fatalf("got %s", text)
	}
	if k := p.keys(t, "")[made.ID]; k.APIKey != made.APIKey[:15]+"···" {
		t.Errorf("masked: %+v", k)
	}
	if k := p.keys(t, "?reveal=true")[made.ID]; k.APIKey != made.APIKey {
		t.Errorf("revealed: %+v", k)
	}
	if err := p.reg.RecordUse(t.Context(), map[string]time.Time{made.ID: time.Now()}); err != nil {
		t.Fatal(err)
	}
	p.ask(t, http.MethodPatch, path+"/"+made.ID, `{"name":"build","expires_at":null}`, 200, nil)
	if k := p.keys(t, "")[made.ID]; k.Name != "build" || k.ExpiresAt != "" || k.Description != "builds" || k.LastUsedAt == "" {
		t.Errorf("changed: %+v", k)
	}
	for body, want := range map[string]int{
		`{"type":"secret","name":"build"}`:                                       409,
		`{"type":"other","name":""}`:                                             400,
		`{"type":"publishable","name":"x","expires_at":"2020-01-01T00:00:00Z"}`:  400,
		`{"type":"publishable","name":"x","expires_at":"soon"}`:                  400,
		`{"type":"publishable","name":"` + strings.Repeat("x", maxName+1) + `"}`: 400,
		`{"type":"publishable","name":"a\u0000b"}`:                               400,
		`{"type":"publishable","name":"p","description":"` + "\\u200b\\n" + `"}`: 400,
	} {
		p.ask(t, http.MethodPost, path, body, want, nil)
	}
	p.ask(t, http.MethodDelete, path+"/"+made.ID, "", 200, nil)
	p.ask(t, http.MethodDelete, path+"/"+made.ID, "", 404, nil)
	p.ask(t, http.MethodDelete, path+"/none", "", 404, nil)
	p.ask(t, http.MethodPatch, path+"/a%00%ff", `{"name":"x"}`, 404, nil)
	p.ask(t, http.MethodPatch, path+"/secret", `{"name":"x"}`, 409, nil)
	p.ask(t, http.MethodPost, "/projects/none/api-keys", `{"type":"secret","name":"x"}`, 404, nil)
	if _, shown := p.keys(t, "?reveal=true")[made.ID]; shown {
		t.Error("a revoked key is listed")
	}
	if k := p.keys(t, "?revoked=true&reveal=true")[made.ID]; k.RevokedAt == "" || k.APIKey != made.APIKey[:15]+"···" {
		t.Errorf("revoked: %+v", k)
	}
}

const maxName = 200

func TestConfiguredKeysAreRevoked(t *testing.T) {
	t.Parallel()
	p := openRegistered(t)
	for _, id := range []string{"service_role", "publishable"} {
		p.ask(t, http.MethodDelete, "/projects/default/api-keys/"+id, "", 200, nil)
		p.ask(t, http.MethodDelete, "/projects/default/api-keys/"+id, "", 404, nil)
	}
	if left := p.keys(t, ""); len(left) != 2 || left["anon"].ID == "" || left["secret"].ID == "" {
		t.Errorf("left: %v", left)
	}
	keys, err := claims.NewKeys(claims.Config{Secret: jwtSecret})
	if err != nil {
		t.Fatal(err)
	}
	live, err := p.reg.Live(p.reg.Snapshot(), "default")
	if err == nil {
		err = keys.Use(live)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Verify(keys.API().Service.Reveal()); !errors.Is(err, claims.ErrUnknownKey) {
		t.Errorf("service_role: %v", err)
	}
	if _, err := keys.Exchange(keys.API().Publishable.Reveal()); !errors.Is(err, claims.ErrUnknownKey) {
		t.Errorf("publishable: %v", err)
	}
}

func TestSigningKeys(t *testing.T) {
	t.Parallel()
	p := openRegistered(t)
	const path = "/projects/default/signing-keys"
	var key struct {
		ID, Status, Algorithm string
		JWK                   map[string]any `json:"public_jwk"`
	}
	list := func() string {
		var keys struct {
			Keys []struct{ ID, Status, Algorithm string }
		}
		p.ask(t, http.MethodGet, path, "", 200, &keys)
		text := ""
		for _, k := range keys.Keys {
			name := k.ID
			if name == key.ID {
				name = "made"
			}
			text += name + " " + k.Algorithm + " " + k.Status + ", "
		}
		return text
	}
	if got := list(); got != "configured HS256 in_use, " {
		t.Errorf("at first: %s", got)
	}
	p.ask(t, http.MethodPost, path, `{"algorithm":"none"}`, 400, nil)
	p.ask(t, http.MethodPost, path, `{"private_jwk":{"kty":"oct","k":"c2hvcnQ"}}`, 400, nil)
	text := p.ask(t, http.MethodPost, path, `{}`, 201, &key)
	if key.Status != "standby" || key.Algorithm != "ES256" || key.JWK["kid"] != key.ID || key.JWK["d"] != nil || strings.Contains(text, `"d"`) {
		t.Errorf("got %s", text)
	}
	p.ask(t, http.MethodPost, path, `{}`, 409, nil)
	p.ask(t, http.MethodPost, path+"/"+key.ID+"/rotate", "", 409, nil)
	conn, err := pgx.Connect(t.Context(), p.url)
	if err == nil {
		_, err = conn.Exec(t.Context(), `UPDATE madbase.signing_keys SET created_at = created_at - interval '1 minute'`)
	}
	if err = errors.Join(err, conn.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	p.ask(t, http.MethodPost, path+"/configured/rotate", "", 404, nil)
	p.ask(t, http.MethodPost, path+"/"+key.ID+"/rotate", "", 200, nil)
	p.ask(t, http.MethodPost, path+"/"+key.ID+"/revoke", "", 409, nil)
	if got := list(); got != "made ES256 in_use, configured HS256 previously_used, " && got != "configured HS256 previously_used, made ES256 in_use, " {
		t.Errorf("rotated: %s", got)
	}
	p.ask(t, http.MethodPost, path+"/configured/revoke", "", 200, nil)
	p.ask(t, http.MethodPost, path+"/none/revoke", "", 404, nil)
}

func TestAuditLogIsPaged(t *testing.T) {
	t.Parallel()
	p := openRegistered(t)
	for i := range 3 {
		p.ask(t, http.MethodPatch, settingsPath, fmt.Sprintf(`{"LIMIT":%d,"PASSWORD":"sesame%d"}`, i, i), 200, nil)
	}
	p.ask(t, http.MethodPost, "/projects/default/api-keys", `{"type":"publishable","name":"web"}`, 201, nil)
	var page struct {
		Entries []struct {
			Actor, Address, Action, Project string
			Detail                          json.RawMessage
		}
		Next *int64
	}
	text := p.ask(t, http.MethodGet, "/audit?action=settings.&limit=2", "", 200, &page)
	if len(page.Entries) != 2 || page.Next == nil || page.Entries[0].Actor != "admin" || page.Entries[0].Address == "" || page.Entries[0].Project != "default" {
		t.Fatalf("got %s", text)
	}
	if got := string(page.Entries[0].Detail); !strings.Contains(got, `"LIMIT":{"to":"2","from":"1"}`) && !strings.Contains(got, `"LIMIT": {"to": "2", "from": "1"}`) || strings.Contains(text, "sesame") {
		t.Errorf("got %s", text)
	}
	text = p.ask(t, http.MethodGet, fmt.Sprintf("/audit?action=settings.&before=%d&project=default", *page.Next), "", 200, &page)
	if len(page.Entries) != 1 || page.Next != nil {
		t.Errorf("got %s", text)
	}
	if text = p.ask(t, http.MethodGet, "/audit", "", 200, &page); len(page.Entries) != 4 || page.Entries[0].Action != "api-key.create" || strings.Contains(text, "sesame") {
		t.Errorf("got %s", text)
	}
	for _, query := range []string{"?limit=0", "?limit=x", "?before=x", "?project=%00"} {
		p.ask(t, http.MethodGet, "/audit"+query, "", 400, nil)
	}
}
