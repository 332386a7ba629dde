package accesskey

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/secret"
)

// Max is how many managed keys a project may have, as with Supabase.
const Max = 50

// The lengths of managed keys in hex digits, which are Supabase's, too.
const (
	accessKeyLength = 32
	secretKeyLength = 64
)

// remembered bounds the keys that a Keyring remembers, and rememberFor is for how
// long: a revoked key opens nothing after it, in any process.
const (
	remembered  = 10_000
	rememberFor = time.Second
)

// ErrTooMany means that a project has Max keys; ErrNotFound that it has none of an id.
var (
	ErrTooMany  = errors.New("accesskey: the project has as many access keys as it may")
	ErrNotFound = store.ErrNotFound
)

// Sealer encrypts what is stored for a place and opens it only there.
type Sealer interface {
	Seal(place string, text secret.String) []byte
	Open(place string, sealed []byte) (secret.String, error)
}

// Key is a managed key.
type Key struct {
	ID, Description string
	Pair
	CreatedAt time.Time
}

// Create makes a key that acts as who said tells, a JSON object of claims with a role;
// as service_role where it is nil. The secret is in the answer and nowhere else in the
// clear. The error is ErrTooMany or the database's. description has 3 to 2000 letters.
func (k *Keyring) Create(ctx context.Context, p *project.Project, description string, said map[string]any) (Key, error) {
	key := Key{Description: description, Pair: Pair{randomHex(accessKeyLength), secret.String(randomHex(secretKeyLength))}}
	payload, err := json.Marshal(claimsOf(p, said))
	if err != nil {
		return Key{}, fmt.Errorf("accesskey: claims: %w", err)
	}
	key.ID, err = store.InsertCredential(ctx, p.DB.Storage, store.Credential{
		Description: description, AccessKey: key.AccessKey,
		Secret: k.sealer.Seal(place(p, key.AccessKey), key.SecretKey), Claims: payload,
	}, Max)
	if errors.Is(err, store.ErrFull) {
		return Key{}, ErrTooMany
	}
	return key, err
}

// claimsOf are the claims of a key: those said, but for who issued them and when,
// which is ours to tell.
func claimsOf(p *project.Project, said map[string]any) map[string]any {
	own := map[string]any{"role": claims.RoleService}
	for name, value := range said {
		switch name {
		case "iss", "exp", "iat":
		default:
			own[name] = value
		}
	}
	own["issuer"] = "supabase.storage." + p.Ref
	return own
}

// List lists p's managed keys without their secrets, the oldest first.
func (k *Keyring) List(ctx context.Context, p *project.Project) ([]Key, error) {
	rows, err := store.ListCredentials(ctx, p.DB.Storage)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(rows))
	for i, row := range rows {
		keys[i] = Key{row.ID, row.Description, Pair{AccessKey: row.AccessKey}, row.CreatedAt.Time}
	}
	return keys, nil
}

// Revoke removes a key by its id, a UUID. The error is ErrNotFound or the database's.
func (k *Keyring) Revoke(ctx context.Context, p *project.Project, id string) error {
	accessKey, err := store.DeleteCredential(ctx, p.DB.Storage, id)
	if err == nil {
		k.recent.Delete(place(p, accessKey))
	}
	return err
}

// managed finds who has a key that an administrator made. What is found is remembered
// for a moment, and also that there is none.
func (k *Keyring) managed(ctx context.Context, p *project.Project, accessKey string) (Signer, error) {
	if _, err := hex.DecodeString(accessKey); err != nil || len(accessKey) != accessKeyLength || k.sealer == nil {
		return Signer{}, ErrUnknown
	}
	where := place(p, accessKey)
	if signer, found := k.recent.Get(where); found {
		if signer.Caller == nil {
			return Signer{}, ErrUnknown
		}
		return signer, nil
	}
	signer, err := k.read(ctx, p, accessKey)
	if err == nil || errors.Is(err, ErrUnknown) {
		k.recent.Put(where, signer, time.Now().Add(rememberFor))
	}
	return signer, err
}

func (k *Keyring) read(ctx context.Context, p *project.Project, accessKey string) (Signer, error) {
	row, err := store.FindCredential(ctx, p.DB.Storage, accessKey)
	if errors.Is(err, store.ErrNotFound) {
		return Signer{}, ErrUnknown
	}
	if err != nil {
		return Signer{}, err
	}
	secretKey, err := k.sealer.Open(place(p, accessKey), row.Secret)
	if err != nil {
		return Signer{}, fmt.Errorf("accesskey: %w", err)
	}
	caller, err := callerOf(row.Claims)
	return Signer{Caller: caller, Secrets: []secret.String{secretKey}}, err
}

// callerOf is who a key with these claims acts as.
func callerOf(payload []byte) (*claims.Caller, error) {
	c := &claims.Caller{JSON: payload}
	if err := json.Unmarshal(payload, &c.Payload); err != nil {
		return nil, fmt.Errorf("accesskey: claims: %w", err)
	}
	c.Role, _ = c.Payload["role"].(string)
	c.Subject, _ = c.Payload["sub"].(string)
	c.SessionID, _ = c.Payload["session_id"].(string)
	return c, nil
}

// place is where a secret is sealed for.
func place(p *project.Project, accessKey string) string {
	return "s3_credentials/" + p.Ref + "/" + accessKey
}

func randomHex(digits int) string {
	raw := make([]byte, digits/2)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}
