package registry_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/secret"
)

func entry(action string) registry.Entry {
	return registry.Entry{Actor: "admin", Address: "192.0.2.1", Project: registry.DefaultRef, Action: action}
}

func TestSettingsChangeTogetherAndAreAudited(t *testing.T) {
	t.Parallel()
	url := controlDatabase(t)
	one, other := open(t, url, sealer(t)), open(t, url, sealer(t))
	set := func(changes ...registry.SettingChange) error {
		return one.ChangeSettings(t.Context(), entry("settings.change"), func(map[string]secret.String) ([]registry.SettingChange, error) { return changes, nil })
	}
	_, changed := other.Current()
	if err := set(
		registry.SettingChange{Name: "GOTRUE_SMTP_PASS", Value: "sesame", Secret: true},
		registry.SettingChange{Name: "GOTRUE_SITE_URL", Value: "https://a"},
	); err != nil {
		t.Fatal(err)
	}
	await(t, changed)
	p, _ := other.Snapshot().Project(registry.DefaultRef)
	if values, err := other.Values(p); err != nil || values["GOTRUE_SMTP_PASS"] != "sesame" || values["GOTRUE_SITE_URL"] != "https://a" || !p.Settings["GOTRUE_SMTP_PASS"].Secret {
		t.Fatalf("got %v, %v", values, err)
	}
	if err := set(registry.SettingChange{Name: "GOTRUE_SITE_URL", Value: "https://b"}, registry.SettingChange{Name: "GOTRUE_SMTP_PASS", Unset: true}); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("no")
	if err := one.ChangeSettings(t.Context(), entry("settings.change"), func(stored map[string]secret.String) ([]registry.SettingChange, error) {
		if len(stored) != 1 || stored["GOTRUE_SITE_URL"] != "https://b" {
			t.Errorf("stored: %v", stored)
		}
		return nil, refused
	}); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	log, err := one.Audit(t.Context(), registry.AuditQuery{Project: registry.DefaultRef, Action: "settings.", Limit: 10})
	if err != nil || len(log) != 2 {
		t.Fatalf("got %v, %v", log, err)
	}
	text, _ := json.Marshal(log)
	if strings.Contains(string(text), "sesame") {
		t.Errorf("the audit log tells a secret: %s", text)
	}
	if got := string(log[0].Detail.(json.RawMessage)); got != `{"set": {"GOTRUE_SITE_URL": {"to": "https://b", "from": "https://a"}}, "unset": ["GOTRUE_SMTP_PASS"]}` {
		t.Errorf("got %s", got)
	}
	if older, err := one.Audit(t.Context(), registry.AuditQuery{Before: log[0].ID, Limit: 1}); err != nil || len(older) != 1 || older[0].ID != log[1].ID || older[0].Actor != "admin" || older[0].Address != "192.0.2.1" {
		t.Errorf("older: %v, %v", older, err)
	}
}

func TestAPIKeysAreKeptSealed(t *testing.T) {
	t.Parallel()
	url := controlDatabase(t)
	r, other := open(t, url, sealer(t)), open(t, url, sealer(t))
	text := claims.NewAPIKey(claims.KindSecret)
	key, err := r.AddAPIKey(t.Context(), entry("key.create"), registry.NewAPIKey{Type: claims.KindSecret, Name: "ci", Text: text})
	if err != nil || !strings.HasPrefix(text.Reveal(), key.Prefix) || len(key.Prefix) > 20 {
		t.Fatalf("got %+v, %v", key, err)
	}
	if _, err := r.AddAPIKey(t.Context(), entry("key.create"), registry.NewAPIKey{Type: claims.KindSecret, Name: "ci", Text: claims.NewAPIKey(claims.KindSecret)}); !errors.Is(err, registry.ErrNameTaken) {
		t.Errorf("name twice: got %v", err)
	}
	if got, err := r.KeyText(key); err != nil || got != text {
		t.Errorf("revealed: %v", err)
	}
	name, at := "build", time.Now().Add(time.Hour)
	if key, err = r.ChangeAPIKey(t.Context(), entry("key.change"), key.ID, registry.APIKeyChange{Name: &name, ExpiresAt: &at}); err != nil || key.Name != name || key.ExpiresAt.IsZero() {
		t.Errorf("changed: %+v, %v", key, err)
	}
	if key, err = r.ChangeAPIKey(t.Context(), entry("key.change"), key.ID, registry.APIKeyChange{Endless: true}); err != nil || key.Name != name || !key.ExpiresAt.IsZero() {
		t.Errorf("without end: %+v, %v", key, err)
	}
	version := r.Snapshot().Version
	now := time.Now().Truncate(time.Millisecond)
	if err := r.RecordUse(t.Context(), map[string]time.Time{key.ID: now, "gone": now}); err != nil {
		t.Fatal(err)
	}
	if uses, err := r.LastUses(t.Context(), registry.DefaultRef); err != nil || !uses[key.ID].Equal(now) {
		t.Errorf("used: %v, %v", uses, err)
	}
	if err := r.Refresh(t.Context()); err != nil || r.Snapshot().Version != version {
		t.Errorf("a use is a change: %v", err)
	}
	if err := other.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, changed := other.Current()
	if err := r.RevokeAPIKey(t.Context(), entry("key.revoke"), key); err != nil {
		t.Fatal(err)
	}
	await(t, changed)
	live, err := other.Live(other.Snapshot(), registry.DefaultRef)
	if err != nil || len(live.API) != 1 || !live.API[0].Revoked || live.API[0].Role != claims.RoleService || live.API[0].Hash != claims.HashKey(text) {
		t.Errorf("live: %+v, %v", live, err)
	}
	if err := r.RevokeAPIKey(t.Context(), entry("key.revoke"), key); !errors.Is(err, registry.ErrNoKey) {
		t.Errorf("revoked twice: %v", err)
	}
	if key, err = r.ChangeAPIKey(t.Context(), entry("key.change"), key.ID, registry.APIKeyChange{}); !errors.Is(err, registry.ErrNoKey) {
		t.Errorf("changed after its end: %+v, %v", key, err)
	}
}

// A key that is valid by itself can be ended by a project with its fill of keys.
func TestAFullProjectCanRevoke(t *testing.T) {
	t.Parallel()
	url := controlDatabase(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `INSERT INTO madbase.api_keys (project, type, name, prefix, hash)
		SELECT 'default', 'secret', 'k' || i, '', sha256(i::text::bytea) FROM generate_series(1, 1000) i`); err != nil {
		t.Fatal(err)
	}
	r := open(t, url, sealer(t))
	k := registry.NewAPIKey{Type: claims.KindSecret, Name: "one more", Text: claims.NewAPIKey(claims.KindSecret)}
	if _, err := r.AddAPIKey(t.Context(), entry("key.create"), k); !errors.Is(err, registry.ErrTooMany) {
		t.Errorf("one more: %v", err)
	}
	k.Revoked = true
	if made, err := r.AddAPIKey(t.Context(), entry("key.revoke"), k); err != nil || made.RevokedAt.IsZero() {
		t.Errorf("revoked: %+v, %v", made, err)
	}
}

func TestSigningKeysMoveOnlyForward(t *testing.T) {
	t.Parallel()
	url := controlDatabase(t)
	r := open(t, url, sealer(t))
	add := func() registry.SigningKey {
		t.Helper()
		jwk, err := claims.NewSigningKey("ES256")
		if err != nil {
			t.Fatal(err)
		}
		key, err := r.AddSigningKey(t.Context(), entry("signing-key.create"), "ES256", jwk)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	one := add()
	if _, err := r.AddSigningKey(t.Context(), entry("signing-key.create"), "ES256", "x"); !errors.Is(err, registry.ErrKeyState) {
		t.Errorf("a second standby: %v", err)
	}
	if _, err := r.RotateSigningKey(t.Context(), entry("signing-key.rotate"), one.ID); !errors.Is(err, registry.ErrTooSoon) {
		t.Errorf("at once: %v", err)
	}
	age(t, url)
	if _, err := r.RotateSigningKey(t.Context(), entry("signing-key.rotate"), one.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := r.RevokeSigningKey(t.Context(), entry("signing-key.revoke"), one.ID); !errors.Is(err, registry.ErrKeyState) {
		t.Errorf("the key in use: %v", err)
	}
	two := add()
	age(t, url)
	if _, err := r.RotateSigningKey(t.Context(), entry("signing-key.rotate"), two.ID); err != nil {
		t.Fatal(err)
	}
	if key, err := r.RevokeSigningKey(t.Context(), entry("signing-key.revoke"), one.ID); err != nil || key.Status != claims.KeyRevoked {
		t.Fatal(err)
	}
	if _, err := r.RotateSigningKey(t.Context(), entry("signing-key.rotate"), one.ID); !errors.Is(err, registry.ErrKeyState) {
		t.Errorf("a revoked key: %v", err)
	}
	states := map[string]string{}
	for _, k := range r.Snapshot().SigningKeys(registry.DefaultRef) {
		states[k.ID] = k.Status
		jwk, err := r.SigningKeyJWK(k)
		if err != nil || (jwk != "") != (k.ID == two.ID) {
			t.Errorf("%s: %v", k.Status, err)
		}
	}
	if len(states) != 3 || states[one.ID] != "revoked" || states[two.ID] != "in_use" || states[claims.Configured] != "previously_used" {
		t.Errorf("got %v", states)
	}
	live, err := r.Live(r.Snapshot(), registry.DefaultRef)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := claims.NewKeys(claims.Config{Secret: "a-secret-of-more-than-thirty-two-characters"})
	if err == nil {
		err = keys.Use(live)
	}
	if err != nil || keys.Algorithm() != "ES256" {
		t.Errorf("in use: %v", err)
	}
}

// age makes all signing keys old enough to be used.
func age(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err == nil {
		_, err = conn.Exec(t.Context(), `UPDATE madbase.signing_keys SET created_at = created_at - interval '1 minute'`)
	}
	if err = errors.Join(err, conn.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
}
