package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/secret"
)

// Reasons why a change of keys is refused.
var (
	ErrNoKey     = errors.New("registry: no such key")
	ErrNameTaken = errors.New("registry: there is a key of that name")
	ErrTooMany   = errors.New("registry: the project has too many keys")
	ErrKeyState  = errors.New("registry: the key's status does not allow it")
)

// maxAPIKeys bounds the keys of a project, revoked ones too: every process has them all.
const maxAPIKeys = 1000

// prefixLength is how much of a key is kept to tell it by.
const prefixLength = 16

// NewAPIKey is a key to be added.
type NewAPIKey struct {
	// Type is claims.KindPublishable or claims.KindSecret.
	Type, Name, Description string
	Text                    secret.String
	// ExpiresAt is zero for a key that does not.
	ExpiresAt time.Time
	// Revoked adds a key that was valid by itself, so that it is no more.
	Revoked bool
}

// keyDetail is what the audit log tells of an API key.
type keyDetail struct {
	ID        string     `json:"id,omitempty"`
	Type      string     `json:"type,omitempty"`
	Name      string     `json:"name,omitempty"`
	Prefix    string     `json:"prefix,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// AddAPIKey stores a key, its text sealed. The error is ErrNotFound, ErrNameTaken,
// ErrTooMany, or ErrNoKey for one that is to be revoked and is already.
func (r *Registry) AddAPIKey(ctx context.Context, by Entry, k NewAPIKey) (APIKey, error) {
	text := k.Text.Reveal()
	prefix := text[:min(prefixLength, len(text)/2)]
	hash := claims.HashKey(k.Text)
	detail := &keyDetail{Type: k.Type, Name: k.Name, Prefix: prefix, ExpiresAt: timeOrNil(k.ExpiresAt)}
	by.Detail = detail
	err := r.Change(ctx, by, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockProject(ctx, tx, by.Project); err != nil {
			return err
		}
		var count int
		if err := tx.QueryRow(ctx, `SELECT count(*), gen_random_uuid()::text FROM madbase.api_keys WHERE project = $1`, by.Project).Scan(&count, &detail.ID); err != nil {
			return err
		}
		if count >= maxAPIKeys && !k.Revoked { // what is valid by itself can always be ended
			return ErrTooMany
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO madbase.api_keys (id, project, type, name, description, prefix, hash, key_sealed, expires_at, revoked_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, CASE WHEN $10 THEN now() END)`,
			detail.ID, by.Project, k.Type, k.Name, k.Description, prefix, hash[:],
			r.options.Sealer.Seal(KeyPlace(by.Project, detail.ID), k.Text), timeOrNil(k.ExpiresAt), k.Revoked)
		if fault, ok := errors.AsType[*pgconn.PgError](err); ok && k.Revoked && fault.ConstraintName == "api_keys_hash_key" {
			return ErrNoKey
		}
		return nameTaken(err)
	})
	if err != nil {
		return APIKey{}, err
	}
	return r.apiKey(by.Project, detail.ID)
}

func (r *Registry) apiKey(ref, id string) (APIKey, error) {
	for _, k := range r.Snapshot().Keys(ref) {
		if k.ID == id {
			return k, nil
		}
	}
	return APIKey{}, ErrNoKey
}

// nameTaken tells a name that another key has from other faults.
func nameTaken(err error) error {
	if fault, ok := errors.AsType[*pgconn.PgError](err); ok && fault.ConstraintName == "api_keys_name_idx" {
		return ErrNameTaken
	}
	return err
}

// APIKeyChange says what of a key changes; what is nil stays.
type APIKeyChange struct {
	Name        *string    `json:"name,omitempty"`
	Description *string    `json:"description,omitempty"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	// Endless takes the expiry away.
	Endless bool `json:"never_expires,omitempty"`
}

// ChangeAPIKey changes a key that is not revoked. The error is ErrNoKey or ErrNameTaken.
func (r *Registry) ChangeAPIKey(ctx context.Context, by Entry, id string, c APIKeyChange) (APIKey, error) {
	by.Detail = struct {
		ID string `json:"id"`
		APIKeyChange
	}{id, c}
	err := r.Change(ctx, by, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE madbase.api_keys SET name = coalesce($3, name), description = coalesce($4, description),
				expires_at = CASE WHEN $6 THEN NULL ELSE coalesce($5, expires_at) END
			WHERE project = $1 AND id::text = $2 AND revoked_at IS NULL`, by.Project, id, c.Name, c.Description, c.ExpiresAt, c.Endless)
		return changedOne(tag, nameTaken(err))
	})
	if err != nil {
		return APIKey{}, err
	}
	return r.apiKey(by.Project, id)
}

// RevokeAPIKey ends a key for good; what it was is no longer kept, but for its hash.
// The error is ErrNoKey.
func (r *Registry) RevokeAPIKey(ctx context.Context, by Entry, k APIKey) error {
	by.Detail = keyDetail{ID: k.ID, Type: k.Type, Name: k.Name, Prefix: k.Prefix}
	return r.Change(ctx, by, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE madbase.api_keys SET revoked_at = now(), key_sealed = NULL WHERE project = $1 AND id::text = $2 AND revoked_at IS NULL`, by.Project, k.ID)
		return changedOne(tag, err)
	})
}

func changedOne(tag pgconn.CommandTag, err error) error {
	if err == nil && tag.RowsAffected() == 0 {
		return ErrNoKey
	}
	return err
}

// RecordUse notes when keys were used, by their ids. It is no change of the registry.
func (r *Registry) RecordUse(ctx context.Context, used map[string]time.Time) error {
	if len(used) == 0 {
		return nil
	}
	ids, times := make([]string, 0, len(used)), make([]time.Time, 0, len(used))
	for id, at := range used {
		ids, times = append(ids, id), append(times, at)
	}
	_, err := r.pool.Exec(ctx, `
		UPDATE madbase.api_keys k SET last_used_at = u.at FROM unnest($1::text[], $2::timestamptz[]) AS u (id, at)
		WHERE k.id::text = u.id AND (k.last_used_at IS NULL OR k.last_used_at < u.at)`, ids, times)
	if err != nil {
		return fmt.Errorf("registry: use of keys: %w", err)
	}
	return nil
}

// LastUses returns when the keys of a project were used last, by their ids. Unlike the
// rest of the registry it is read anew each time.
func (r *Registry) LastUses(ctx context.Context, ref string) (map[string]time.Time, error) {
	rows, err := r.pool.Query(ctx, `SELECT id::text, last_used_at FROM madbase.api_keys WHERE project = $1 AND last_used_at IS NOT NULL`, ref)
	if err != nil {
		return nil, fmt.Errorf("registry: use of keys: %w", err)
	}
	uses := map[string]time.Time{}
	var id string
	var at time.Time
	if _, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error { uses[id] = at; return nil }); err != nil {
		return nil, fmt.Errorf("registry: use of keys: %w", err)
	}
	return uses, nil
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
