package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/madbase/madbase/platform/secret"
)

// ErrTaken means that there is a project of that ref already.
var ErrTaken = errors.New("registry: there is a project of that ref")

// ErrStatus means that a project's present status does not allow the change.
var ErrStatus = errors.New("registry: the project's status does not allow it")

// refPattern is sql/platform's: a ref is part of host names and of names of at
// most 63 bytes in the database.
var refPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{1,38}[a-z0-9]$`)

// ValidRef reports whether ref can name a project.
func ValidRef(ref string) bool { return refPattern.MatchString(ref) }

// NewRef returns a random ref of 20 letters, as Supabase's projects have.
func NewRef() string {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	random := make([]byte, 20)
	_, _ = rand.Read(random) // never fails
	for i, b := range random {
		random[i] = letters[int(b)%len(letters)]
	}
	return string(random)
}

// Create adds a project that is yet to be made, with secrets of its own. An empty
// databaseURL gives it a database in the control database's cluster. The error is
// ErrTaken for a ref that is in use.
func (r *Registry) Create(ctx context.Context, by Entry, name string, databaseURL secret.String) (Project, error) {
	ref := by.Project
	database, sealedURL := "madbase_"+ref, []byte(nil)
	if databaseURL != "" {
		database, sealedURL = "", r.options.Sealer.Seal(projectPlace(ref, "database_url"), databaseURL)
	}
	jwtSecret := secret.Random()
	keyHashes, err := hashes(jwtSecret)
	if err != nil {
		return Project{}, err
	}
	by.Action = "project.create"
	err = r.Change(ctx, by, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO madbase.projects (ref, name, database, database_url_sealed, jwt_secret_sealed, login_secret_sealed, storage_prefix, key_hashes)
			VALUES ($1, $2, nullif($3, ''), $4, $5, $6, $7, $8)`,
			ref, name, database, sealedURL,
			r.options.Sealer.Seal(projectPlace(ref, "jwt_secret"), jwtSecret),
			r.options.Sealer.Seal(projectPlace(ref, "login_secret"), secret.Random()),
			ref+"."+strings.ToLower(rand.Text()[:8]), keyHashes)
		var fault *pgconn.PgError
		if errors.As(err, &fault) && fault.Code == "23505" {
			return ErrTaken
		}
		return err
	})
	if err != nil {
		return Project{}, err
	}
	p, _ := r.Snapshot().Project(ref)
	return p, nil
}

// Rename gives the project of by another name.
func (r *Registry) Rename(ctx context.Context, by Entry, name string) error {
	by.Action = "project.rename"
	return r.update(ctx, by, func(ctx context.Context, tx pgx.Tx) (pgconn.CommandTag, error) {
		return tx.Exec(ctx, `UPDATE madbase.projects SET name = $2 WHERE ref = $1`, by.Project, name)
	})
}

// SetStatus moves the project of by from one of the statuses from to another. The
// error is ErrStatus when it has none of them, ErrNotFound when there is none.
func (r *Registry) SetStatus(ctx context.Context, by Entry, to Status, from ...Status) error {
	if _, found := r.Snapshot().Project(by.Project); !found {
		return ErrNotFound
	}
	by.Action = "project." + string(to)
	allowed := make([]string, 0, len(from))
	for _, s := range from {
		allowed = append(allowed, string(s))
	}
	err := r.update(ctx, by, func(ctx context.Context, tx pgx.Tx) (pgconn.CommandTag, error) {
		return tx.Exec(ctx, `UPDATE madbase.projects SET status = $2 WHERE ref = $1 AND status = ANY ($3)`, by.Project, string(to), allowed)
	})
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: to become %s", ErrStatus, to)
	}
	return err
}

// Remove ends a project that is being deleted and whose database and objects are
// gone, with its settings and keys.
func (r *Registry) Remove(ctx context.Context, by Entry) error {
	by.Action = "project.deleted"
	return r.update(ctx, by, func(ctx context.Context, tx pgx.Tx) (pgconn.CommandTag, error) {
		return tx.Exec(ctx, `DELETE FROM madbase.projects WHERE ref = $1 AND status = 'deleting'`, by.Project)
	})
}

// update is Change for a statement that must change a row.
func (r *Registry) update(ctx context.Context, by Entry, write func(context.Context, pgx.Tx) (pgconn.CommandTag, error)) error {
	return r.Change(ctx, by, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := write(ctx, tx)
		if err == nil && tag.RowsAffected() == 0 {
			return ErrNotFound
		}
		return err
	})
}
