package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/madbase/madbase/platform/db"
)

// The providers that are no one else's: the subject of their identities is the user's own id.
const (
	ProviderEmail = "email"
	ProviderPhone = "phone"
)

// Identity is a way in which a user signs in. In the API "id" is the subject at
// the provider and "identity_id" the row.
type Identity struct {
	ID           string          `json:"identity_id"`
	ProviderID   string          `json:"id"`
	UserID       string          `json:"user_id"`
	Data         json.RawMessage `json:"identity_data,omitempty"`
	Provider     string          `json:"provider"`
	LastSignInAt *time.Time      `json:"last_sign_in_at,omitempty"`
	CreatedAt    *time.Time      `json:"created_at"`
	UpdatedAt    *time.Time      `json:"updated_at"`
	Email        string          `json:"email,omitempty"`
}

const identityColumns = `i.id, i.provider_id, i.user_id, i.identity_data, i.provider, i.last_sign_in_at, i.created_at, i.updated_at, i.email`

// nullIdentity is the identity's side of a left join.
type nullIdentity struct {
	id, providerID, userID, provider, email *string
	data                                    json.RawMessage
	lastSignInAt, createdAt, updatedAt      *time.Time
}

func (n *nullIdentity) into() []any {
	return []any{&n.id, &n.providerID, &n.userID, &n.data, &n.provider, &n.lastSignInAt, &n.createdAt, &n.updatedAt, &n.email}
}

func (n *nullIdentity) value() Identity {
	for _, t := range []*time.Time{n.lastSignInAt, n.createdAt, n.updatedAt} {
		if t != nil {
			*t = t.UTC()
		}
	}
	i := Identity{
		ID: *n.id, ProviderID: *n.providerID, UserID: *n.userID, Data: n.data, Provider: *n.provider,
		LastSignInAt: n.lastSignInAt, CreatedAt: n.createdAt, UpdatedAt: n.updatedAt,
	}
	if n.email != nil {
		i.Email = *n.email
	}
	return i
}

// InsertIdentity adds an identity of a user; data is what the provider says, with the subject there as "sub".
func InsertIdentity(ctx context.Context, q db.Queryer, userID, provider string, data map[string]any) error {
	if email, ok := data["email"].(string); ok {
		data["email"] = strings.ToLower(email)
	}
	_, err := q.Exec(ctx, `INSERT INTO auth.identities (id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, now(), now(), now())`, uuid.NewString(), data["sub"], userID, data, provider)
	if err != nil {
		return fmt.Errorf("store: insert identity: %w", err)
	}
	return nil
}

// Own is the address or number of an identity that is the user's own.
type Own struct {
	// Provider is ProviderEmail or ProviderPhone.
	Provider, Value string
	Verified        bool
}

// HasProvider reports whether the user signs in by the provider.
func (u *User) HasProvider(name string) bool {
	return slices.ContainsFunc(u.Identities, func(i Identity) bool { return i.Provider == name })
}

// PutOwnIdentity sets the user's identity of o's provider, adding it where there is none.
func PutOwnIdentity(ctx context.Context, q db.Queryer, userID string, o Own) error {
	_, err := q.Exec(ctx, `INSERT INTO auth.identities (id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
		VALUES ($1, $2::uuid::text, $2::uuid, jsonb_build_object('sub', $2::uuid, 'email_verified', false, 'phone_verified', false)
			|| jsonb_build_object($3::text, $4::text, $3::text || '_verified', $5::bool), $3::text, now(), now(), now())
		ON CONFLICT (provider_id, provider) DO UPDATE SET updated_at = now(),
			identity_data = identities.identity_data || jsonb_build_object($3::text, $4::text, $3::text || '_verified', $5::bool)`,
		uuid.NewString(), userID, o.Provider, o.Value, o.Verified)
	if err != nil {
		return fmt.Errorf("store: put %s identity: %w", o.Provider, err)
	}
	return nil
}
