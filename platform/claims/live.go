package claims

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/madbase/madbase/platform/cache"
	"github.com/madbase/madbase/platform/secret"
)

// Live are the keys that a project was given while it runs, beside those of its
// configuration.
type Live struct {
	API     []APIKeyRecord
	Signing []SigningKey
}

// APIKeyRecord is an API key as it is stored: by its hash. A record with the hash of
// a configured key, opaque or JSON Web Token, stands for that key: so those are revoked, too.
type APIKeyRecord struct {
	// ID tells uses of the key apart in TakeUsed.
	ID string
	// Role is RoleAnon for publishable keys and RoleService for secret ones.
	Role string
	// Hash is HashKey of the whole key.
	Hash [sha256.Size]byte
	// Expires is when the key ends; zero: never.
	Expires time.Time
	Revoked bool
}

// The states of a signing key in their order. All but a revoked one verify tokens.
const (
	KeyStandby  = "standby"
	KeyInUse    = "in_use"
	KeyPrevious = "previously_used"
	KeyRevoked  = "revoked"
)

// Configured is the ID of the SigningKey that stands for the keys of JWT_SECRET and JWT_KEYS.
const Configured = "configured"

// SigningKey is a key for tokens in one of its states.
type SigningKey struct {
	// ID names the key (kid) in the tokens that it signs.
	ID string
	// State is one of the four; one key at most is in use. Where none is, the
	// configured keys sign.
	State string
	// JWK is the private key as a JSON Web Key; it has none when ID is Configured.
	JWK secret.String
}

// HashKey is how API keys are stored and compared. They have 256 random bits or are
// signed, so that no hash can be turned back; and nobody who guesses knows anything of
// the hash of the guess, so that finding it takes a table and no constant time.
func HashKey(key secret.String) [sha256.Size]byte { return hashKey(key.Reveal()) }

func hashKey(key string) [sha256.Size]byte { return sha256.Sum256([]byte(key)) }

// material is what one state of the keys comes to. It does not change but for what
// it remembers.
type material struct {
	verifying []jwk.Key
	signing   jwk.Key // nil in Keys that only verify
	published []byte
	verified  *cache.LRU[string, *Caller] // nil when nothing is remembered
	opaque    map[[sha256.Size]byte]opaqueKey
	// refused are the payloads of revoked tokens that are API keys. The text of a token
	// can be written in several ways without its signature's becoming invalid.
	refused map[string]bool
	// exchanged are the tokens that opaque keys stand for, by role.
	exchanged map[string]*atomic.Pointer[exchanged]
}

// opaqueKey is an API key that stands for a token of its role.
type opaqueKey struct {
	id, role string
	expires  time.Time
	revoked  bool
	// used is when the key was first used since TakeUsed, in Unix seconds; 0: not.
	used *atomic.Int64
}

// Use puts live in the place of what an earlier Use gave, for all requests from now
// on. Tokens that a key of before has verified stay remembered unless a key is gone.
// When live has faults, all stays as it was.
func (k *Keys) Use(live Live) error {
	k.using.Lock()
	defer k.using.Unlock()
	before := k.current.Load()
	m := &material{signing: k.signing, exchanged: map[string]*atomic.Pointer[exchanged]{RoleAnon: {}, RoleService: {}}}
	if err := m.takeSigning(k, live.Signing); err != nil {
		return err
	}
	m.takeAPI(k, live.API, before)
	switch {
	case k.remembered <= 0:
	case before != nil && bytes.Equal(thumbprints(m.verifying), thumbprints(before.verifying)) && maps.Equal(m.refused, before.refused):
		m.verified = before.verified
	default:
		m.verified = cache.New[string, *Caller](k.remembered)
	}
	k.current.Store(m)
	return nil
}

// takeSigning finds the key that signs and those that verify.
func (m *material) takeSigning(k *Keys, keys []SigningKey) error {
	private := k.configured
	inUse, revoked := 0, false
	for _, s := range keys {
		if s.State == KeyInUse {
			inUse++
		}
		if s.ID == Configured {
			if s.State == KeyRevoked {
				private, revoked = nil, true
			}
			continue
		}
		if s.State == KeyRevoked {
			continue
		}
		key, err := parsePrivate(s.ID, s.JWK)
		if err != nil {
			return err
		}
		private = append(private[:len(private):len(private)], key)
		if s.State == KeyInUse {
			m.signing = key
		}
	}
	if inUse > 1 || revoked && m.signing == k.signing {
		return errors.New("claims: one signing key must be in use")
	}
	return m.verifyWith(append(private[:len(private):len(private)], k.others...))
}

// verifyWith takes the public halves of keys and publishes the asymmetric ones.
func (m *material) verifyWith(keys []jwk.Key) error {
	set := jwk.NewSet()
	for _, key := range keys {
		pub, err := public(key)
		if err != nil {
			return fmt.Errorf("claims: public key: %w", err)
		}
		m.verifying = append(m.verifying, pub)
		if pub.KeyType() == jwa.OctetSeq {
			continue
		}
		if err := set.AddKey(pub); err != nil {
			return fmt.Errorf("claims: publish key: %w", err)
		}
	}
	published, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("claims: publish keys: %w", err)
	}
	m.published = published
	return nil
}

// thumbprints tells whether two lists of verifying keys are the same.
func thumbprints(keys []jwk.Key) []byte {
	var all []byte
	for _, key := range keys {
		text, err := json.Marshal(key)
		if err != nil { // the key was read from JSON
			return nil
		}
		sum := sha256.Sum256(text)
		all = append(all, sum[:]...)
	}
	return all
}

// takeAPI lists the configured opaque keys, then the records, which win over them.
func (m *material) takeAPI(k *Keys, records []APIKeyRecord, before *material) {
	m.opaque, m.refused = map[[sha256.Size]byte]opaqueKey{}, map[string]bool{}
	if k.api.Publishable != "" {
		m.opaque[HashKey(k.api.Publishable)] = opaqueKey{role: RoleAnon}
		m.opaque[HashKey(k.api.Secret)] = opaqueKey{role: RoleService}
	}
	legacy := map[[sha256.Size]byte]string{HashKey(k.api.Anon): payloadOf(k.api.Anon), HashKey(k.api.Service): payloadOf(k.api.Service)}
	for _, r := range records {
		if payload, is := legacy[r.Hash]; is {
			if r.Revoked {
				m.refused[payload] = true
			}
			continue
		}
		used := new(atomic.Int64)
		if before != nil && before.opaque[r.Hash].used != nil {
			used = before.opaque[r.Hash].used
		}
		m.opaque[r.Hash] = opaqueKey{id: r.ID, role: r.Role, expires: r.Expires, revoked: r.Revoked, used: used}
	}
}

// payloadOf is what a token of the configuration says; empty for what is none.
func payloadOf(token secret.String) string {
	message, err := jws.ParseString(token.Reveal())
	if err != nil {
		return ""
	}
	return string(message.Payload())
}

// TakeUsed returns the records whose keys were used since it was called last, by ID,
// with a time at which each was.
func (k *Keys) TakeUsed() map[string]time.Time {
	taken := map[string]time.Time{}
	for _, key := range k.current.Load().opaque {
		if key.used == nil {
			continue
		}
		if at := key.used.Swap(0); at != 0 {
			taken[key.id] = time.Unix(at, 0)
		}
	}
	return taken
}
