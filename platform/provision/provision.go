// Package provision makes the databases of projects and takes them away again, with
// all that is a project's. What a crash leaves half done, another process finishes.
package provision

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/migrate"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/secret"
)

// Deps are what a Provisioner stands on.
type Deps struct {
	Registry *registry.Registry
	// OwnerURL is the control database's owner, who may create databases and roles.
	OwnerURL string
	// Lines are the migrations of a project's database.
	Lines []migrate.Line
	// Blobs has the projects' objects; nil in a process that does not store them,
	// which deletes no project.
	Blobs blob.Store
	Log   *slog.Logger
}

const (
	// everywhere is longer than a change of the registry takes to be everywhere.
	everywhere = 3 * time.Second
	// abandoned is when a project that is still being created is somebody else's to
	// finish, unless its lock tells that it is being worked on.
	abandoned = 10 * time.Second
	// look is how often it is looked for what others have left.
	look = 5 * time.Second
	// patience bounds the work on one project.
	patience = 5 * time.Minute
	// reach bounds a connection to a database elsewhere.
	reach = 10 * time.Second
)

// Provisioner makes and removes projects.
type Provisioner struct {
	module.Base
	deps Deps

	// deleting is since when this process knows that a project is to go.
	deleting map[string]time.Time

	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan struct{}
}

// New returns a Provisioner that looks for nothing yet.
func New(deps Deps) *Provisioner {
	return &Provisioner{deps: deps, deleting: map[string]time.Time{}}
}

// Name is "provision".
func (v *Provisioner) Name() string { return "provision" }

// Routes has none.
func (v *Provisioner) Routes(*echo.Group) {}

// Database is where p's database is, by its owner's URL, and who logs in there.
func (v *Provisioner) Database(p registry.Project) (string, project.Logins, error) {
	secrets, err := v.deps.Registry.Secrets(p)
	if err != nil {
		return "", project.Logins{}, err
	}
	if secrets.LoginSecret == "" {
		return "", project.Logins{}, errors.New("provision: the project has no secret for its database")
	}
	logins := project.LoginsOf(p.Ref, secrets.LoginSecret)
	if p.External() {
		return secrets.DatabaseURL.Reveal(), logins, nil
	}
	url, err := db.WithDatabase(v.deps.OwnerURL, p.Database)
	return url, logins, err
}

// Check says whether there is a database at url whose owner may make roles.
func (v *Provisioner) Check(ctx context.Context, url secret.String) error {
	conn, err := connect(ctx, url.Reveal())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return project.MayOwn(ctx, conn)
}

// Make gives the project p, which is being created, its database and has it served.
// It may be called again after a failure. When another process is at it, it does nothing.
func (v *Provisioner) Make(ctx context.Context, p registry.Project) error {
	return v.alone(ctx, p, func(ctx context.Context, owner *pgx.Conn) error {
		if !p.External() {
			if err := project.CreateDatabase(ctx, owner, p.Database); err != nil {
				return err
			}
		}
		if err := v.Prepare(ctx, p); err != nil {
			return err
		}
		return v.deps.Registry.SetStatus(ctx, madbase(p), registry.Active, registry.Creating)
	})
}

// Prepare brings p's database up to date, as after an upgrade of madbase.
func (v *Provisioner) Prepare(ctx context.Context, p registry.Project) error {
	url, logins, err := v.Database(p)
	if err != nil {
		return err
	}
	return project.Prepare(ctx, url, logins, v.deps.Log.With("project", p.Ref), v.deps.Lines)
}

// madbase is the audit log's line for what a process does by itself.
func madbase(p registry.Project) registry.Entry {
	return registry.Entry{Actor: "madbase", Project: p.Ref}
}

// remove takes away the project p, which is being deleted: its database, its login
// roles and its objects, then its row.
func (v *Provisioner) remove(ctx context.Context, p registry.Project) error {
	return v.alone(ctx, p, func(ctx context.Context, owner *pgx.Conn) error {
		url, logins, err := v.Database(p)
		if err != nil {
			return err
		}
		if p.External() {
			v.leave(ctx, p, url, logins)
		} else if err := errors.Join(project.DropDatabase(ctx, owner, p.Database), project.DropLogins(ctx, owner, logins)); err != nil {
			return err
		}
		if err := v.abortUploads(ctx, p.StoragePrefix+"/"); err != nil {
			return err
		}
		if err := v.removeObjects(ctx, p.StoragePrefix+"/"); err != nil {
			return err
		}
		return v.deps.Registry.Remove(ctx, madbase(p))
	})
}

// leave takes madbase's logins out of a database elsewhere, which stays with its
// data. It may be gone already: that must not keep the project.
func (v *Provisioner) leave(ctx context.Context, p registry.Project, url string, logins project.Logins) {
	conn, err := connect(ctx, url)
	if err == nil {
		defer conn.Close(context.WithoutCancel(ctx))
		err = project.DropLogins(ctx, conn, logins)
	}
	if err != nil {
		v.deps.Log.WarnContext(ctx, "the login roles of a deleted project stay in its database", "project", p.Ref, "error", err)
	}
}

// abortUploads removes the parts of uploads that nobody has finished, which take
// space and are no objects. Afterwards none of them becomes one.
func (v *Provisioner) abortUploads(ctx context.Context, prefix string) error {
	parts, ok := v.deps.Blobs.(blob.Multipart)
	if !ok {
		return nil
	}
	for begun, err := range parts.Unfinished(ctx, prefix) {
		if err == nil {
			err = parts.AbortMultipart(ctx, begun.Upload)
		}
		if err != nil {
			return fmt.Errorf("provision: abort uploads: %w", err)
		}
	}
	return nil
}

// batch is how many objects are deleted by one request; S3 takes a thousand.
const batch = 500

func (v *Provisioner) removeObjects(ctx context.Context, prefix string) error {
	var keys []string
	flush := func() error {
		if len(keys) == 0 {
			return nil
		}
		err := v.deps.Blobs.Delete(ctx, keys...)
		keys = keys[:0]
		return err
	}
	for info, err := range v.deps.Blobs.List(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("provision: list objects: %w", err)
		}
		if keys = append(keys, info.Key); len(keys) == batch {
			if err := flush(); err != nil {
				return fmt.Errorf("provision: delete objects: %w", err)
			}
		}
	}
	if err := flush(); err != nil {
		return fmt.Errorf("provision: delete objects: %w", err)
	}
	return nil
}

// alone runs work on p unless another process does, or has done it: then there is
// nothing to do. By now there may be another project of the same ref, with a database
// of the same name.
func (v *Provisioner) alone(ctx context.Context, p registry.Project, work func(context.Context, *pgx.Conn) error) error {
	owner, err := connect(ctx, v.deps.OwnerURL)
	if err != nil {
		return err
	}
	defer owner.Close(context.WithoutCancel(ctx)) // which gives the lock free, too
	mine, err := project.TryLock(ctx, owner, lockOf(p.Ref))
	if err != nil || !mine {
		return err
	}
	if err := v.deps.Registry.Refresh(ctx); err != nil {
		return err
	}
	if now, found := v.deps.Registry.Snapshot().Project(p.Ref); !found || now.Status != p.Status || now.StoragePrefix != p.StoragePrefix {
		return nil
	}
	return work(ctx, owner)
}

func lockOf(ref string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("madbase/project/" + ref)) // never fails
	return int64(h.Sum64())
}

func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("provision: the connection string is malformed") // the cause may quote the password
	}
	ctx, cancel := context.WithTimeout(ctx, reach)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("provision: connect as the owner: %w", err)
	}
	return conn, nil
}
