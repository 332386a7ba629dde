package registry

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// load reads all of the registry. q must see one moment.
func load(ctx context.Context, q db.Queryer) (*Snapshot, error) {
	s := &Snapshot{loaded: true, byRef: map[string]int{}, byHash: map[[sha256.Size]byte]int{}, derived: map[[sha256.Size]byte]string{}}
	for _, part := range []struct {
		name string
		read func(context.Context, db.Queryer) error
	}{{"version", s.loadVersion}, {"projects", s.loadProjects}, {"settings", s.loadSettings}, {"keys", s.loadKeys}, {"signing keys", s.loadSigning}} {
		if err := part.read(ctx, q); err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return s, nil
}

const selectVersion = `SELECT version FROM madbase.registry`

func (s *Snapshot) loadVersion(ctx context.Context, q db.Queryer) error {
	return q.QueryRow(ctx, selectVersion).Scan(&s.Version)
}

func (s *Snapshot) loadProjects(ctx context.Context, q db.Queryer) error {
	rows, err := q.Query(ctx, `
		SELECT ref, name, status, coalesce(database, ''), storage_prefix, created_at, updated_at, version,
			database_url_sealed, jwt_secret_sealed, login_secret_sealed, key_hashes
		FROM madbase.projects ORDER BY ref`)
	if err != nil {
		return err
	}
	var p Project
	var hashes [][]byte
	_, err = pgx.ForEachRow(rows, []any{
		&p.Ref, &p.Name, &p.Status, &p.Database, &p.StoragePrefix, &p.CreatedAt, &p.UpdatedAt, &p.Version,
		&p.databaseURL, &p.jwtSecret, &p.loginSecret, &hashes,
	}, func() error {
		p.Settings = map[string]Setting{}
		for _, hash := range hashes {
			if len(hash) == sha256.Size {
				s.derived[[sha256.Size]byte(hash)] = p.Ref
			}
		}
		s.byRef[p.Ref] = len(s.projects)
		s.projects = append(s.projects, p)
		return nil
	})
	return err
}

func (s *Snapshot) loadSettings(ctx context.Context, q db.Queryer) error {
	rows, err := q.Query(ctx, `SELECT project, name, coalesce(value, ''), value IS NULL, updated_at, value_sealed FROM madbase.project_settings`)
	if err != nil {
		return err
	}
	var ref, name string
	var v Setting
	_, err = pgx.ForEachRow(rows, []any{&ref, &name, &v.Value, &v.Secret, &v.UpdatedAt, &v.sealed}, func() error {
		if i, ok := s.byRef[ref]; ok {
			s.projects[i].Settings[name] = v
		}
		return nil
	})
	return err
}

func (s *Snapshot) loadKeys(ctx context.Context, q db.Queryer) error {
	rows, err := q.Query(ctx, `
		SELECT id::text, project, type, name, description, prefix, hash, created_at, expires_at, revoked_at, last_used_at, key_sealed
		FROM madbase.api_keys ORDER BY project, created_at, id`)
	if err != nil {
		return err
	}
	var k APIKey
	var hash []byte
	var expires, revoked, used *time.Time
	_, err = pgx.ForEachRow(rows, []any{
		&k.ID, &k.Project, &k.Type, &k.Name, &k.Description, &k.Prefix, &hash, &k.CreatedAt, &expires, &revoked, &used, &k.sealed,
	}, func() error {
		copy(k.Hash[:], hash)
		k.ExpiresAt, k.RevokedAt, k.LastUsedAt = orZero(expires), orZero(revoked), orZero(used)
		s.byHash[k.Hash] = len(s.keys)
		s.keys = append(s.keys, k)
		return nil
	})
	return err
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
