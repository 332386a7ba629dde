package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// Passkey is a row of auth.webauthn_credentials. Its JSON is the API's.
type Passkey struct {
	ID           string     `json:"id"`
	FriendlyName string     `json:"friendly_name,omitempty"`
	CreatedAt    time.Time  `json:"created_at"`
	LastUsedAt   *time.Time `json:"last_used_at,omitempty"`

	CredentialID    []byte   `json:"-"`
	PublicKey       []byte   `json:"-"`
	AttestationType string   `json:"-"`
	AAGUID          []byte   `json:"-"`
	SignCount       uint32   `json:"-"`
	Transports      []string `json:"-"`
	BackupEligible  bool     `json:"-"`
	BackedUp        bool     `json:"-"`
}

const passkeyColumns = `id::text, friendly_name, created_at, last_used_at, credential_id, public_key, attestation_type,
	coalesce(uuid_send(aaguid), ''), sign_count, transports, backup_eligible, backed_up`

func scanPasskey(row pgx.CollectableRow) (p Passkey, err error) {
	var transports json.RawMessage
	var count int64
	err = row.Scan(&p.ID, &p.FriendlyName, &p.CreatedAt, &p.LastUsedAt, &p.CredentialID, &p.PublicKey, &p.AttestationType,
		&p.AAGUID, &count, &transports, &p.BackupEligible, &p.BackedUp)
	if err != nil {
		return p, err
	}
	p.SignCount, p.CreatedAt = uint32(count), p.CreatedAt.UTC()
	if p.LastUsedAt != nil {
		*p.LastUsedAt = p.LastUsedAt.UTC()
	}
	return p, json.Unmarshal(transports, &p.Transports)
}

// Passkeys returns a user's passkeys, oldest first.
func Passkeys(ctx context.Context, q db.Queryer, userID string) ([]Passkey, error) {
	rows, err := q.Query(ctx, `SELECT `+passkeyColumns+` FROM auth.webauthn_credentials WHERE user_id = $1 ORDER BY created_at, id`, userID)
	if err != nil {
		return nil, fmt.Errorf("store: passkeys: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanPasskey)
	if err != nil {
		return nil, fmt.Errorf("store: passkeys: %w", err)
	}
	return all, nil
}

// InsertPasskey adds a passkey and returns it as stored.
func InsertPasskey(ctx context.Context, q db.Queryer, userID string, p Passkey) (*Passkey, error) {
	if p.Transports == nil {
		p.Transports = []string{}
	}
	transports, err := json.Marshal(p.Transports)
	if err != nil {
		return nil, fmt.Errorf("store: encode transports: %w", err)
	}
	var aaguid *uuid.UUID
	if id, err := uuid.FromBytes(p.AAGUID); err == nil {
		aaguid = &id
	}
	return onePasskey(ctx, q, "insert passkey", `INSERT INTO auth.webauthn_credentials (id, user_id, credential_id, public_key, attestation_type, aaguid,
			sign_count, transports, backup_eligible, backed_up, friendly_name, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now(), now()) RETURNING `+passkeyColumns,
		uuid.NewString(), userID, p.CredentialID, p.PublicKey, p.AttestationType, aaguid, int64(p.SignCount), transports, p.BackupEligible, p.BackedUp, p.FriendlyName)
}

// RenamePasskey names a user's passkey, and returns it, or ErrNotFound.
func RenamePasskey(ctx context.Context, q db.Queryer, userID, id, name string) (*Passkey, error) {
	return onePasskey(ctx, q, "rename passkey", `UPDATE auth.webauthn_credentials SET friendly_name = $3, updated_at = now()
		WHERE user_id = $1 AND id = $2 RETURNING `+passkeyColumns, userID, id, name)
}

// DeletePasskey removes a user's passkey, and returns it, or ErrNotFound.
func DeletePasskey(ctx context.Context, q db.Queryer, userID, id string) (*Passkey, error) {
	return onePasskey(ctx, q, "delete passkey", `DELETE FROM auth.webauthn_credentials WHERE user_id = $1 AND id = $2 RETURNING `+passkeyColumns, userID, id)
}

// UsePasskey notes a sign-in with the user's passkey of that credential, and returns it. It is
// ErrNotFound when there is none any more, or its count of signatures (WebAuthn,
// section 6.1.1) got past this one's in the meantime.
func UsePasskey(ctx context.Context, q db.Queryer, userID string, p Passkey) (*Passkey, error) {
	return onePasskey(ctx, q, "use passkey", `UPDATE auth.webauthn_credentials SET sign_count = $3, backed_up = $4, last_used_at = now(), updated_at = now()
		WHERE user_id = $1 AND credential_id = $2 AND (sign_count < $3 OR sign_count = 0 AND $3 = 0) RETURNING `+passkeyColumns,
		userID, p.CredentialID, int64(p.SignCount), p.BackedUp)
}

func onePasskey(ctx context.Context, q db.Queryer, what, sql string, args ...any) (*Passkey, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err == nil {
		var p Passkey
		if p, err = pgx.CollectExactlyOneRow(rows, scanPasskey); err == nil {
			return &p, nil
		}
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	return nil, fmt.Errorf("store: %s: %w", what, err)
}

// What a passkey's challenge is for: values of auth.webauthn_challenges.
const (
	CeremonyRegistration   = "registration"
	CeremonyAuthentication = "authentication"
)

// Ceremony is a row of auth.webauthn_challenges, a challenge about a passkey.
type Ceremony struct {
	// UserID is empty when anyone may answer.
	UserID string
	// Type is CeremonyRegistration or CeremonyAuthentication.
	Type string
	// Data is what go-webauthn keeps of the challenge.
	Data      []byte
	ExpiresAt time.Time
}

// InsertCeremony adds a challenge and returns its id. Some that are over go with
// it, so that no more stay than were made within their life.
func InsertCeremony(ctx context.Context, q db.Queryer, c Ceremony) (id string, err error) {
	id = uuid.NewString()
	return id, exec(ctx, q, "insert passkey challenge", `WITH old AS (
			DELETE FROM auth.webauthn_challenges WHERE id IN (
				SELECT id FROM auth.webauthn_challenges WHERE expires_at < now() - interval '1 hour' LIMIT 10 FOR UPDATE SKIP LOCKED)
		)
		INSERT INTO auth.webauthn_challenges (id, user_id, challenge_type, session_data, created_at, expires_at)
		VALUES ($1, nullif($2, '')::uuid, $3, $4, now(), $5)`, id, c.UserID, c.Type, c.Data, c.ExpiresAt)
}

// TakeCeremony removes a challenge and returns it: it can be answered once, and
// only by the user and for the purpose that it was made for. Else it is ErrNotFound.
func TakeCeremony(ctx context.Context, q db.Queryer, id, userID, purpose string) (*Ceremony, error) {
	c := &Ceremony{UserID: userID, Type: purpose}
	err := q.QueryRow(ctx, `DELETE FROM auth.webauthn_challenges WHERE id = $1 AND user_id IS NOT DISTINCT FROM nullif($2, '')::uuid AND challenge_type = $3
		RETURNING session_data, expires_at`, id, userID, purpose).Scan(&c.Data, &c.ExpiresAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("store: take passkey challenge: %w", err)
	}
	return c, nil
}
