package provision_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/mem"
	"github.com/madbase/madbase/platform/migrate"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/provision"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testdb"
	"github.com/madbase/madbase/platform/testkit"
	"github.com/madbase/madbase/sql"
)

// controlDatabase returns the URL of a database with nothing but the registry.
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

// open returns a registry that hears of nothing by itself.
func open(t *testing.T, url string) *registry.Registry {
	t.Helper()
	s, err := registry.NewSealer(registry.Config{}, testkit.JWTSecret)
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.New(t.Context(), registry.Options{OwnerURL: url, Sealer: s, Log: testkit.Log()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// A process that has long heard nothing still knows a project as one to delete; others
// have deleted it, and made another one of its ref. That one keeps its database.
func TestAProjectOfADeletedOnesRefStays(t *testing.T) {
	t.Parallel()
	url := controlDatabase(t)
	ref := registry.NewRef()
	by, ctx := registry.Entry{Actor: "admin", Project: ref}, t.Context()
	here := open(t, url)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := here.Create(ctx, by, "First", secret.String(""))
	must(err)
	must(here.SetStatus(ctx, by, registry.Deleting, registry.Creating))
	late := open(t, url)
	must(here.Remove(ctx, by))
	p, err := here.Create(ctx, by, "Second", secret.String(""))
	must(err)
	owner, err := pgx.Connect(ctx, url)
	must(err)
	t.Cleanup(func() {
		_ = errors.Join(project.DropDatabase(context.Background(), owner, p.Database), owner.Close(context.Background()))
	})
	must(project.CreateDatabase(ctx, owner, p.Database))

	_, heard := late.Current()
	v := provision.New(provision.Deps{Registry: late, OwnerURL: url, Blobs: mem.New(), Log: testkit.Log()})
	must(v.Start(ctx))
	exists := func() (found bool) {
		must(owner.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", p.Database).Scan(&found))
		return found
	}
	for end := time.Now().Add(20 * time.Second); exists() && time.Now().Before(end); {
		select {
		case <-heard: // it has looked
			end = time.Now()
		case <-time.After(50 * time.Millisecond):
		}
	}
	must(v.Stop(ctx))
	if !exists() {
		t.Error("its database was dropped")
	}
	if !slices.ContainsFunc(late.Snapshot().Projects(), func(q registry.Project) bool { return q.StoragePrefix == p.StoragePrefix }) {
		t.Error("the late process has not looked")
	}
}

// A deleted project leaves no objects and no uploads that were never finished; those of
// a project whose prefix begins alike stay.
func TestADeletedProjectLeavesNothingInTheStore(t *testing.T) {
	t.Parallel()
	url := controlDatabase(t)
	ref := registry.NewRef()
	by, ctx := registry.Entry{Actor: "admin", Project: ref}, t.Context()
	r, blobs := open(t, url), mem.New()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	p, err := r.Create(ctx, by, "First", secret.String(""))
	must(err)
	for _, prefix := range []string{p.StoragePrefix, p.StoragePrefix + "s"} {
		_, err := blobs.Put(ctx, prefix+"/bucket/object/version", strings.NewReader("x"), blob.PutOptions{Size: 1})
		must(err)
		up, err := blobs.CreateMultipart(ctx, prefix+"/bucket/upload/version", blob.PutOptions{})
		must(err)
		_, err = blobs.UploadPart(ctx, up, 1, strings.NewReader("x"), 1)
		must(err)
	}
	must(r.SetStatus(ctx, by, registry.Deleting, registry.Creating))
	v := provision.New(provision.Deps{Registry: r, OwnerURL: url, Blobs: blobs, Log: testkit.Log()})
	must(v.Start(ctx))
	for end := time.Now().Add(30 * time.Second); ; {
		snapshot, changed := r.Current()
		if _, found := snapshot.Project(ref); !found {
			break
		}
		select {
		case <-changed:
		case <-time.After(time.Until(end)):
			t.Fatal("the project stays")
		}
	}
	must(v.Stop(ctx))
	var left []string
	for info, err := range blobs.List(ctx, "") {
		must(err)
		left = append(left, info.Key)
	}
	for begun, err := range blobs.Unfinished(ctx, "") {
		must(err)
		left = append(left, begun.Key)
	}
	if other := p.StoragePrefix + "s/bucket/"; !slices.Equal(left, []string{other + "object/version", other + "upload/version"}) {
		t.Errorf("left: %q", left)
	}
}
