package accesskey_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/madbase/madbase/modules/storage/accesskey"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/testdb"
	"github.com/madbase/madbase/platform/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, testdb.IgnoreGoroutines()...) }

func sealer(t *testing.T) *registry.Sealer {
	t.Helper()
	s, err := registry.NewSealer(registry.Config{}, testkit.JWTSecret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestManagedKeys(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t, "storage")
	ctx := t.Context()
	worker, control := accesskey.New(accesskey.Config{}, nil, sealer(t)), accesskey.New(accesskey.Config{}, nil, sealer(t))
	user := map[string]any{"role": "authenticated", "sub": "7a0b5e8e-0000-4000-8000-000000000001", "iss": "me", "exp": 1, "plan": "gold"}
	key, err := control.Create(ctx, p.Project, "for backups", user)
	if err != nil || len(key.AccessKey) != 32 || len(key.SecretKey) != 64 {
		t.Fatal(key.AccessKey, err)
	}
	signer, err := worker.Find(ctx, p.Project, key.AccessKey, "")
	if err != nil || len(signer.Secrets) != 1 || signer.Secrets[0] != key.SecretKey {
		t.Fatalf("%v %v", signer, err)
	}
	c := signer.Caller
	if c.Role != "authenticated" || c.Subject != user["sub"] || c.Payload["plan"] != "gold" || c.Payload["issuer"] != "supabase.storage."+p.Ref ||
		c.Payload["iss"] != nil || c.Payload["exp"] != nil {
		t.Errorf("acts as %s", c.JSON)
	}
	var stored string
	if err := p.Owner.QueryRow(ctx, "SELECT encode(secret, 'escape') FROM madbase.s3_credentials").Scan(&stored); err != nil || strings.Contains(stored, key.SecretKey.Reveal()) {
		t.Error("the secret is stored in the clear", err)
	}
	list, err := control.List(ctx, p.Project)
	if err != nil || len(list) != 1 || list[0].Description != "for backups" || list[0].SecretKey != "" || time.Since(list[0].CreatedAt) > time.Minute {
		t.Error(list, err)
	}
	if err := control.Revoke(ctx, p.Project, key.ID); err != nil {
		t.Fatal(err)
	}
	if err := control.Revoke(ctx, p.Project, key.ID); !errors.Is(err, accesskey.ErrNotFound) {
		t.Error(err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for revoked := time.Now(); ; <-tick.C {
		if _, err := worker.Find(ctx, p.Project, key.AccessKey, ""); errors.Is(err, accesskey.ErrUnknown) {
			break
		}
		if time.Since(revoked) > 2*time.Second {
			t.Fatal("a revoked key still opens after two seconds")
		}
	}
}

func TestKeysAreBoundToTheirProjectAndLimited(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t, "storage")
	ctx := t.Context()
	keyring := accesskey.New(accesskey.Config{}, nil, sealer(t))
	var last accesskey.Key
	for range accesskey.Max {
		var err error
		if last, err = keyring.Create(ctx, p.Project, "one of many", nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := keyring.Create(ctx, p.Project, "one too many", nil); !errors.Is(err, accesskey.ErrTooMany) {
		t.Error(err)
	}
	if signer, err := keyring.Find(ctx, p.Project, last.AccessKey, ""); err != nil || signer.Caller.Role != claims.RoleService {
		t.Error(err)
	}
	another := *p.Project // its rows are those of p: a secret copied from there must not open
	another.Ref = "another"
	if _, err := keyring.Find(ctx, &another, last.AccessKey, ""); !errors.Is(err, registry.ErrSealed) {
		t.Errorf("got %v", err)
	}
	if _, err := keyring.Find(ctx, p.Project, strings.Repeat("0", 32), ""); !errors.Is(err, accesskey.ErrUnknown) {
		t.Error(err)
	}
}

func TestOwnPairAndSessions(t *testing.T) {
	t.Parallel()
	keys, err := claims.NewKeys(claims.Config{Secret: testkit.JWTSecret})
	if err != nil {
		t.Fatal(err)
	}
	one, other := &project.Project{Ref: "default", Keys: keys}, &project.Project{Ref: "other", Keys: keys}
	cfg := accesskey.Config{AccessKey: "mine", SecretKey: "hush"}
	keyring := accesskey.New(cfg, project.NewDirectory(one), nil)
	if signer, err := keyring.Find(t.Context(), one, "mine", ""); err != nil || signer.Caller.Role != claims.RoleService || signer.Secrets[0] != "hush" {
		t.Error(err)
	}
	if _, err := keyring.Find(t.Context(), other, "mine", ""); !errors.Is(err, accesskey.ErrUnknown) {
		t.Errorf("the settings' pair opens another project: %v", err)
	}
	derived := accesskey.Config{}.Pair(keys)
	if again := (accesskey.Config{}).Pair(keys); derived != again || len(derived.AccessKey) != 32 || len(derived.SecretKey) != 64 {
		t.Error("derived pairs differ")
	}
	if _, err := keyring.Find(t.Context(), one, derived.AccessKey, ""); !errors.Is(err, accesskey.ErrUnknown) {
		t.Errorf("the derived pair opens beside that of the settings: %v", err)
	}
	token, err := keys.Sign([]byte(`{"role":"authenticated","sub":"u1"}`))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := keyring.Find(t.Context(), one, "default", token)
	if err != nil || signer.Caller.Subject != "u1" || signer.Secrets[0] != keys.API().Anon {
		t.Error(err)
	}
	if _, err := keyring.Find(t.Context(), one, "default", token+"x"); !errors.Is(err, claims.ErrSignature) {
		t.Errorf("a forged session: %v", err)
	}
	for _, bad := range []accesskey.Config{{AccessKey: "a"}, {SecretKey: "b"}, {AccessKey: "a/b", SecretKey: "c"}} {
		if bad.Validate() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}
