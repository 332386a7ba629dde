package registry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/registry"
)

// Of two who revoke a key that derives from the secret, one has.
func TestAConfiguredKeyIsRevokedOnce(t *testing.T) {
	t.Parallel()
	r := open(t, controlDatabase(t), sealer(t))
	by := registry.Entry{Actor: "admin", Project: registry.DefaultRef, Action: "api-key.revoke"}
	outcomes := make(chan error)
	for range 2 {
		go func() {
			_, err := r.AddAPIKey(t.Context(), by, registry.NewAPIKey{Type: claims.KindSecret, Name: "secret", Text: "sb_secret_x", Revoked: true})
			outcomes <- err
		}()
	}
	one, other := <-outcomes, <-outcomes
	if one != nil {
		one, other = other, one
	}
	if one != nil || !errors.Is(other, registry.ErrNoKey) {
		t.Errorf("%v, %v", one, other)
	}
}

// What was changed and cannot be read back at once was changed all the same.
func TestAChangeThatCannotBeReadBack(t *testing.T) {
	t.Parallel()
	url := controlDatabase(t)
	r := open(t, url, sealer(t))
	if _, err := r.Create(t.Context(), by, "Blog", ""); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	// rename gives the project another name, and makes the registry unreadable.
	rename := func(name string) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		return r.Change(ctx, by, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE madbase.projects SET name = $1 WHERE ref = 'blog'", name)
			if err == nil {
				_, err = tx.Exec(ctx, "ALTER TABLE madbase.signing_keys RENAME TO hidden")
			}
			return err
		})
	}
	restored := make(chan error, 1)
	time.AfterFunc(500*time.Millisecond, func() {
		_, err := conn.Exec(context.Background(), "ALTER TABLE madbase.hidden RENAME TO signing_keys")
		restored <- err
	})
	if err := rename("Second"); err != nil {
		t.Errorf("read a moment later: %v", err)
	}
	if err := <-restored; err != nil {
		t.Fatal(err)
	}
	if p, _ := r.Snapshot().Project("blog"); p.Name != "Second" {
		t.Errorf("the change is not known: %+v", p)
	}
	if e, ok := errors.AsType[*apierr.Error](rename("Third")); !ok || e.Code != "done_unread" {
		t.Errorf("read never: %v", e)
	}
}
