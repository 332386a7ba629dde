package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// ErrFull means that a table has as many rows as it may.
var ErrFull = errors.New("store: there are too many rows")

// Credential is an access key of the S3 protocol: a row of madbase.s3_credentials.
type Credential struct {
	ID          string `json:"id"`
	Description string `json:"description"`
	AccessKey   string `json:"access_key"`
	CreatedAt   Time   `json:"created_at"`

	// Secret is sealed. Neither it nor Claims, a JSON object, is read by ListCredentials.
	Secret []byte          `json:"-"`
	Claims json.RawMessage `json:"-"`
}

// InsertCredential stores c under an id of its own, which it returns, unless there are
// limit rows: then the error is ErrFull.
func InsertCredential(ctx context.Context, pool *db.Pool, c Credential, limit int) (id string, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// Of two that are added at once the second counts the first.
		if _, err := tx.Exec(ctx, "LOCK TABLE madbase.s3_credentials IN SHARE ROW EXCLUSIVE MODE"); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			INSERT INTO madbase.s3_credentials (description, access_key, secret, claims)
			SELECT $1, $2, $3, $4 WHERE (SELECT count(*) FROM madbase.s3_credentials) < $5
			RETURNING id::text`, c.Description, c.AccessKey, c.Secret, string(c.Claims), limit).Scan(&id)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return "", ErrFull
	}
	if err != nil {
		return "", fmt.Errorf("store: insert credential: %w", err)
	}
	return id, nil
}

// FindCredential returns the credential of an access key, or ErrNotFound.
func FindCredential(ctx context.Context, q db.Queryer, accessKey string) (c Credential, err error) {
	err = q.QueryRow(ctx, "SELECT access_key, secret, claims FROM madbase.s3_credentials WHERE access_key = $1", accessKey).
		Scan(&c.AccessKey, &c.Secret, &c.Claims)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, ErrNotFound
	}
	if err != nil {
		return c, fmt.Errorf("store: find credential: %w", err)
	}
	return c, nil
}

// ListCredentials lists all, the oldest first.
func ListCredentials(ctx context.Context, q db.Queryer) ([]Credential, error) {
	list, err := manyJSON[Credential](ctx, q, `
		SELECT row_to_json(c) FROM (
			SELECT id, description, access_key, created_at FROM madbase.s3_credentials
		) c ORDER BY c.created_at, c.id`)
	if err != nil {
		return nil, fmt.Errorf("store: list credentials: %w", err)
	}
	return list, nil
}

// DeleteCredential removes the credential id, a UUID, and returns its access key; ErrNotFound.
func DeleteCredential(ctx context.Context, q db.Queryer, id string) (accessKey string, err error) {
	err = q.QueryRow(ctx, "DELETE FROM madbase.s3_credentials WHERE id = $1::uuid RETURNING access_key", id).Scan(&accessKey)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("store: delete credential: %w", err)
	}
	return accessKey, nil
}
