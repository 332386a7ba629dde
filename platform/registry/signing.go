package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/secret"
)

// SigningKey is a key that signs a project's tokens, or did, or will.
type SigningKey struct {
	Project, ID, Algorithm string
	// Status is one of claims.KeyStandby and its like.
	Status               string
	CreatedAt, ChangedAt time.Time

	sealed []byte
}

// ErrTooSoon means that a signing key is so new that not every process knows it yet.
var ErrTooSoon = errors.New("registry: the signing key is too new to be used")

// Settled is how long a signing key must be known before it signs: longer than a
// change takes to be everywhere.
const Settled = 5 * time.Second

// maxSigningKeys bounds the keys of a project that verify tokens.
const maxSigningKeys = 20

// SigningKeys returns the signing keys of ref that were made, the oldest first. That
// of claims.Configured is among them once another key has been used.
func (s *Snapshot) SigningKeys(ref string) []SigningKey {
	var keys []SigningKey
	for _, k := range s.signing {
		if k.Project == ref {
			keys = append(keys, k)
		}
	}
	return keys
}

func (s *Snapshot) loadSigning(ctx context.Context, q db.Queryer) error {
	rows, err := q.Query(ctx, `
		SELECT project, id, algorithm, status, created_at, changed_at, key_sealed
		FROM madbase.signing_keys ORDER BY project, created_at, id`)
	if err != nil {
		return err
	}
	var k SigningKey
	_, err = pgx.ForEachRow(rows, []any{&k.Project, &k.ID, &k.Algorithm, &k.Status, &k.CreatedAt, &k.ChangedAt, &k.sealed}, func() error {
		s.signing = append(s.signing, k)
		return nil
	})
	return err
}

// SigningKeyJWK opens the private key; it is empty for a revoked and for the configured one.
func (r *Registry) SigningKeyJWK(k SigningKey) (secret.String, error) {
	if len(k.sealed) == 0 {
		return "", nil
	}
	return r.options.Sealer.Open(signingPlace(k.Project, k.ID), k.sealed)
}

func signingPlace(ref, id string) string { return fmt.Sprintf("signing_keys/%s/%s", ref, id) }

// Live returns the keys that a project was given while it runs, as claims.Keys.Use takes
// them. s is the snapshot in which the project was found.
func (r *Registry) Live(s *Snapshot, ref string) (claims.Live, error) {
	var live claims.Live
	for _, k := range s.Keys(ref) {
		live.API = append(live.API, claims.APIKeyRecord{
			ID: k.ID, Role: claims.RoleOf(k.Type), Hash: k.Hash, Expires: k.ExpiresAt, Revoked: !k.RevokedAt.IsZero(),
		})
	}
	for _, k := range s.SigningKeys(ref) {
		material, err := r.SigningKeyJWK(k)
		if err != nil {
			return claims.Live{}, err
		}
		live.Signing = append(live.Signing, claims.SigningKey{ID: k.ID, State: k.Status, JWK: material})
	}
	return live, nil
}

// signingDetail is what the audit log tells of a signing key.
type signingDetail struct {
	ID        string `json:"id"`
	Algorithm string `json:"algorithm,omitempty"`
	Before    string `json:"before,omitempty"`
}

// AddSigningKey stores a private key, sealed, that every process is to know before it
// is used. The error is ErrKeyState where one waits already, or ErrTooMany.
func (r *Registry) AddSigningKey(ctx context.Context, by Entry, algorithm string, jwk secret.String) (SigningKey, error) {
	detail := &signingDetail{Algorithm: algorithm}
	by.Detail = detail
	err := r.Change(ctx, by, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockProject(ctx, tx, by.Project); err != nil {
			return err
		}
		var count int
		err := tx.QueryRow(ctx, `SELECT count(*), gen_random_uuid()::text FROM madbase.signing_keys WHERE project = $1 AND status <> 'revoked'`, by.Project).Scan(&count, &detail.ID)
		if err != nil {
			return err
		}
		if count >= maxSigningKeys {
			return ErrTooMany
		}
		_, err = tx.Exec(ctx, `INSERT INTO madbase.signing_keys (project, id, algorithm, status, key_sealed) VALUES ($1, $2, $3, 'standby', $4)`,
			by.Project, detail.ID, algorithm, r.options.Sealer.Seal(signingPlace(by.Project, detail.ID), jwk))
		if fault, ok := errors.AsType[*pgconn.PgError](err); ok && fault.ConstraintName == "signing_keys_standby_idx" {
			return ErrKeyState
		}
		return err
	})
	if err != nil {
		return SigningKey{}, err
	}
	return r.signingKey(by.Project, detail.ID)
}

func (r *Registry) signingKey(ref, id string) (SigningKey, error) {
	for _, k := range r.Snapshot().SigningKeys(ref) {
		if k.ID == id {
			return k, nil
		}
	}
	return SigningKey{}, ErrNoKey
}

// RotateSigningKey has the key sign from now on, that waits or that signed before. The
// one that signs now goes on verifying. The error is ErrNoKey, ErrKeyState or ErrTooSoon.
func (r *Registry) RotateSigningKey(ctx context.Context, by Entry, id string) (SigningKey, error) {
	detail := &signingDetail{ID: id}
	by.Detail = detail
	err := r.Change(ctx, by, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockProject(ctx, tx, by.Project); err != nil {
			return err
		}
		if err := checkRotation(ctx, tx, by.Project, id); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `UPDATE madbase.signing_keys SET status = 'previously_used', changed_at = now() WHERE project = $1 AND status = 'in_use' RETURNING id`, by.Project).Scan(&detail.Before)
		if errors.Is(err, pgx.ErrNoRows) { // the configured key signed so far
			detail.Before = claims.Configured
			_, err = tx.Exec(ctx, `INSERT INTO madbase.signing_keys (project, id, algorithm, status) VALUES ($1, $2, '', 'previously_used')`, by.Project, detail.Before)
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE madbase.signing_keys SET status = 'in_use', changed_at = now() WHERE project = $1 AND id = $2`, by.Project, id)
		return err
	})
	if err != nil {
		return SigningKey{}, err
	}
	return r.signingKey(by.Project, id)
}

// checkRotation says why a key cannot be the next to sign.
func checkRotation(ctx context.Context, q db.Queryer, ref, id string) error {
	var status string
	var settled bool
	err := q.QueryRow(ctx, `SELECT status, created_at < now() - $3::interval FROM madbase.signing_keys WHERE project = $1 AND id = $2`, ref, id, Settled).Scan(&status, &settled)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ErrNoKey
	case err != nil:
		return err
	case status != claims.KeyStandby && status != claims.KeyPrevious:
		return ErrKeyState
	case !settled:
		return ErrTooSoon
	}
	return nil
}

// RevokeSigningKey ends a key that does not sign, and all tokens that it has signed.
// The private key is no longer kept. The error is ErrNoKey or ErrKeyState.
func (r *Registry) RevokeSigningKey(ctx context.Context, by Entry, id string) (SigningKey, error) {
	by.Detail = signingDetail{ID: id}
	if _, err := r.signingKey(by.Project, id); err != nil {
		return SigningKey{}, err
	}
	err := r.Change(ctx, by, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE madbase.signing_keys SET status = 'revoked', key_sealed = NULL, changed_at = now()
			WHERE project = $1 AND id = $2 AND status IN ('standby', 'previously_used')`, by.Project, id)
		if err == nil && tag.RowsAffected() == 0 {
			return ErrKeyState
		}
		return err
	})
	if err != nil {
		return SigningKey{}, err
	}
	return r.signingKey(by.Project, id)
}
