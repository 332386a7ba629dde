package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/madbase/madbase/platform/db"
)

// UseMemory is how long what was used is remembered at least: nothing that Use is
// asked about may be valid for longer.
const UseMemory = 24 * time.Hour

// usedType marks rows of auth.oauth_client_states that stand for something used.
// GoTrue's schema has no table for that; this one is only ever read by ids that
// the server itself has stored, and its old rows are removed by every clean-up.
const usedType = "used"

// Use notes that something good for one use is used, and reports false when it
// was before. The name tells it from all else, of every kind. Call it in the
// transaction that the use is for: of two at once the second waits for the first.
// It removes a few of the marks that are too old to matter.
func Use(ctx context.Context, q db.Queryer, name string) (bool, error) {
	tag, err := q.Exec(ctx, `WITH old AS (
			DELETE FROM auth.oauth_client_states WHERE id IN (
				SELECT id FROM auth.oauth_client_states WHERE provider_type = $2 AND created_at < now() - $3::interval
				ORDER BY created_at LIMIT 10 FOR UPDATE SKIP LOCKED)
		)
		INSERT INTO auth.oauth_client_states (id, provider_type, created_at) VALUES ($1, $2, now()) ON CONFLICT (id) DO NOTHING`,
		uuid.NewHash(sha256.New(), uuid.NameSpaceURL, []byte("madbase:used:"+name), 8).String(), usedType, UseMemory)
	if err != nil {
		return false, fmt.Errorf("store: use: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}
