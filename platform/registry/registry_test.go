package registry_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/migrate"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testdb"
	"github.com/madbase/madbase/platform/testkit"
	"github.com/madbase/madbase/sql"
)

func controlDatabase(t *testing.T) string {
	t.Helper()
	lines := []migrate.Line{{Name: "platform", Files: sql.Line("platform")}}
	name, err := migrate.Checksum(lines...)
	if err != nil {
		t.Fatal(err)
	}
	return testdb.New(t, testdb.Template{Name: name, Build: func(ctx context.Context, url string) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		return errors.Join(migrate.Run(ctx, conn, testkit.Log(), lines, nil), conn.Close(ctx))
	}})
}

func sealer(t *testing.T, keys ...string) *registry.Sealer {
	t.Helper()
	s, err := registry.NewSealer(registry.Config{MasterKey: secret.String(strings.Join(keys, ","))}, testkit.JWTSecret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t *testing.T, url string, s *registry.Sealer) *registry.Registry {
	t.Helper()
	r, err := registry.New(t.Context(), registry.Options{OwnerURL: url, Sealer: s, Log: testkit.Log()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

var by = registry.Entry{Actor: "admin", Project: "blog"}

// A change through one process is known to another within two seconds.
func TestOthersFollow(t *testing.T) {
	t.Parallel()
	url := controlDatabase(t)
	one, other := open(t, url, sealer(t)), open(t, url, sealer(t))
	if p, ok := other.Snapshot().Project(registry.DefaultRef); !ok || p.Status != registry.Active {
		t.Fatalf("default: %v %v", p, ok)
	}
	_, changed := other.Current()
	made, err := one.Create(t.Context(), by, "Blog", "")
	if err != nil {
		t.Fatal(err)
	}
	await(t, changed)
	p, ok := other.Snapshot().Project("blog")
	if !ok || p.Version != made.Version || p.Name != "Blog" || p.Status != registry.Creating || p.Database != "madbase_blog" || p.External() {
		t.Fatalf("followed: %+v, made %+v", p, made)
	}
	first, err := one.Secrets(made)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := other.Secrets(p); err != nil || second != first || len(first.JWTSecret) < 32 || first.JWTSecret == first.LoginSecret {
		t.Errorf("secrets: %v", err)
	}
	if _, err := one.Create(t.Context(), by, "Again", ""); !errors.Is(err, registry.ErrTaken) {
		t.Errorf("a taken ref: %v", err)
	}
}

func await(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(2 * time.Second):
		t.Fatal("the change was not seen within 2 s")
	}
}

// Settings and keys are parts of a project: they change its version, their use does not.
func TestPartsChangeTheProject(t *testing.T) {
	t.Parallel()
	r := open(t, controlDatabase(t), sealer(t))
	before, err := r.Create(t.Context(), by, "Blog", "")
	if err != nil {
		t.Fatal(err)
	}
	change := func(sql string, args ...any) registry.Project {
		err := r.Change(t.Context(), registry.Entry{Actor: "test", Action: "test"}, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, sql, args...)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		p, _ := r.Snapshot().Project("blog")
		return p
	}
	sealed := r.Sealer().Seal(registry.SettingPlace("blog", "GOTRUE_SMTP_PASS"), "geheim")
	after := change(`INSERT INTO madbase.project_settings (project, name, value, value_sealed) VALUES ('blog', 'PGRST_DB_MAX_ROWS', '7', NULL), ('blog', 'GOTRUE_SMTP_PASS', NULL, $1)`, sealed)
	values, err := r.Values(after)
	if err != nil || after.Version <= before.Version || values["PGRST_DB_MAX_ROWS"] != "7" || values["GOTRUE_SMTP_PASS"] != "geheim" {
		t.Errorf("settings: %v %v", values, err)
	}
	sum := sha256.Sum256([]byte("sb_secret_x"))
	keyed := change(`INSERT INTO madbase.api_keys (project, type, name, prefix, hash) VALUES ('blog', 'secret', 'ci', 'sb_secret_', $1)`, sum[:])
	key, found := r.Snapshot().Key("sb_secret_x")
	if !found || key.Project != "blog" || !key.Valid(time.Now()) || keyed.Version <= after.Version {
		t.Errorf("key: %+v %v", key, found)
	}
	if used := change(`UPDATE madbase.api_keys SET last_used_at = now()`); used.Version != keyed.Version {
		t.Error("the use of a key changed the project")
	}
	change(`UPDATE madbase.api_keys SET revoked_at = now()`)
	if key, _ := r.Snapshot().Key("sb_secret_x"); key.Valid(time.Now()) {
		t.Error("a revoked key is valid")
	}
}

func TestStatusesOnlyMoveAsAllowed(t *testing.T) {
	t.Parallel()
	r := open(t, controlDatabase(t), sealer(t))
	if err := r.SetStatus(t.Context(), by, registry.Active, registry.Creating); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := r.Create(t.Context(), by, "Blog", "postgres://u:geheim@h/d"); err != nil {
		t.Fatal(err)
	}
	if err := r.Remove(t.Context(), by); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("removed what was not being deleted: %v", err)
	}
	if err := r.SetStatus(t.Context(), by, registry.Active, registry.Suspended); !errors.Is(err, registry.ErrStatus) {
		t.Errorf("resumed what was not suspended: %v", err)
	}
	for _, to := range []registry.Status{registry.Active, registry.Deleting} {
		if err := r.SetStatus(t.Context(), by, to, registry.Creating, registry.Active); err != nil {
			t.Fatal(err)
		}
	}
	if p, _ := r.Snapshot().Project("blog"); !p.External() || p.Database != "" {
		t.Errorf("%+v", p)
	}
	if err := r.Remove(t.Context(), by); err != nil {
		t.Fatal(err)
	}
	if _, found := r.Snapshot().Project("blog"); found {
		t.Error("the project is still there")
	}
}

// What is sealed opens in its place alone, under the key that sealed it.
func TestSealing(t *testing.T) {
	t.Parallel()
	old, next := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("a", 32))), base64.StdEncoding.EncodeToString([]byte(strings.Repeat("b", 32)))
	sealed := sealer(t, old).Seal("here", "geheim")
	if strings.Contains(string(sealed), "geheim") {
		t.Fatal("not encrypted")
	}
	if text, err := sealer(t, next, old).Open("here", sealed); err != nil || text != "geheim" {
		t.Errorf("after a change of key: %v", err)
	}
	broken := append([]byte{}, sealed...)
	broken[len(broken)-1] ^= 1
	for name, try := range map[string]func() (secret.String, error){
		"another place": func() (secret.String, error) { return sealer(t, old).Open("there", sealed) },
		"another key":   func() (secret.String, error) { return sealer(t, next).Open("here", sealed) },
		"derived key":   func() (secret.String, error) { return sealer(t).Open("here", sealed) },
		"damaged":       func() (secret.String, error) { return sealer(t, old).Open("here", broken) },
		"cut":           func() (secret.String, error) { return sealer(t, old).Open("here", sealed[:10]) },
	} {
		if text, err := try(); !errors.Is(err, registry.ErrSealed) || text != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, key := range []string{"x", "YQ==", old + ",x"} {
		if err := (registry.Config{MasterKey: secret.String(key)}).Validate(); err == nil {
			t.Errorf("master key %q is taken", key)
		}
	}
}

func TestRefs(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]bool{
		"abc": true, "a-1": true, registry.NewRef(): true, strings.Repeat("a", 40): true,
		"": false, "a": false, "ab": false, "1ab": false, "Abc": false, "ab-": false, "a.b": false, "a_b": false, "abc\n": false, strings.Repeat("a", 41): false,
	} {
		if registry.ValidRef(ref) != want {
			t.Errorf("%q: not %v", ref, want)
		}
	}
}
