// Package seal encrypts single secrets at rest in GoTrue's form: AES-256-GCM under
// a key that HKDF derives for the row, written as JSON. So rows of either server
// are read by the other, and a secret copied to another row opens nothing.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/madbase/madbase/platform/secret"
)

// Config are the keys.
type Config struct {
	Encrypt        bool          `env:"GOTRUE_SECURITY_DB_ENCRYPTION_ENCRYPT" default:"false" doc:"Encrypt password hashes, secrets of second factors and keys of refresh tokens in the database." group:"optional"`
	KeyID          string        `env:"GOTRUE_SECURITY_DB_ENCRYPTION_ENCRYPTION_KEY_ID" doc:"Name of the key that new secrets are encrypted with." group:"optional"`
	Key            secret.String `env:"GOTRUE_SECURITY_DB_ENCRYPTION_ENCRYPTION_KEY" doc:"That key: 32 bytes in base64url without padding." group:"optional"`
	DecryptionKeys secret.String `env:"GOTRUE_SECURITY_DB_ENCRYPTION_DECRYPTION_KEYS" doc:"All keys that secrets may be encrypted with, as name:key, comma separated." group:"optional"`
}

// Validate names each faulty setting.
func (c Config) Validate() error {
	_, err := New(c)
	return err
}

const (
	algorithm = "aes-gcm-hkdf"
	keyLength = 32
	nonceSize = 12
)

// sealed is the JSON of a secret.
type sealed struct {
	KeyID     string `json:"key_id"`
	Algorithm string `json:"alg"`
	Data      []byte `json:"data"`
	Nonce     []byte `json:"nonce"`
}

// Box seals and opens.
type Box struct {
	encrypt bool
	keyID   string
	keys    map[string][]byte
}

// New returns the Box of the settings; the error names each faulty one.
func New(c Config) (*Box, error) {
	b := &Box{encrypt: c.Encrypt, keyID: c.KeyID, keys: map[string][]byte{}}
	var errs []error
	for pair := range strings.SplitSeq(c.DecryptionKeys.Reveal(), ",") {
		if pair == "" {
			continue
		}
		name, text, _ := strings.Cut(strings.TrimSpace(pair), ":")
		key, err := parseKey(text)
		if err != nil || name == "" {
			errs = append(errs, errors.New("GOTRUE_SECURITY_DB_ENCRYPTION_DECRYPTION_KEYS must be name:key, each key 32 bytes in base64url without padding"))
			break
		}
		b.keys[name] = key
	}
	if c.Encrypt {
		key, err := parseKey(c.Key.Reveal())
		switch {
		case c.KeyID == "":
			errs = append(errs, errors.New("GOTRUE_SECURITY_DB_ENCRYPTION_ENCRYPTION_KEY_ID is missing"))
		case err != nil:
			errs = append(errs, errors.New("GOTRUE_SECURITY_DB_ENCRYPTION_ENCRYPTION_KEY must be 32 bytes in base64url without padding"))
		case string(b.keys[c.KeyID]) != string(key):
			errs = append(errs, errors.New("GOTRUE_SECURITY_DB_ENCRYPTION_DECRYPTION_KEYS must have the encryption key, too"))
		}
	}
	return b, errors.Join(errs...)
}

func parseKey(text string) ([]byte, error) {
	key, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil && len(key) != keyLength {
		err = errors.New("not 32 bytes")
	}
	return key, err
}

// Seal returns the secret of the row id as it is to be stored: as it is where the
// settings do not ask for encryption, and what is empty stays so.
func (b *Box) Seal(id, text string) (string, error) {
	if !b.encrypt || text == "" {
		return text, nil
	}
	aead, err := b.cipher(id, b.keyID)
	if err != nil {
		return "", err
	}
	s := sealed{KeyID: b.keyID, Algorithm: algorithm, Nonce: make([]byte, nonceSize)}
	_, _ = rand.Read(s.Nonce) // never fails
	s.Data = aead.Seal(nil, s.Nonce, []byte(text), nil)
	out, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	return string(out), nil
}

// Open returns the stored secret of the row id in the clear. What is not
// encrypted is returned as it is.
func (b *Box) Open(id, stored string) (string, error) {
	var s sealed
	if !strings.HasPrefix(stored, "{") || json.Unmarshal([]byte(stored), &s) != nil ||
		s.Algorithm != algorithm || len(s.Nonce) != nonceSize || s.KeyID == "" {
		return stored, nil
	}
	aead, err := b.cipher(id, s.KeyID)
	if err != nil {
		return "", err
	}
	text, err := aead.Open(nil, s.Nonce, s.Data, nil)
	if err != nil {
		return "", fmt.Errorf("seal: open with key %q: %w", s.KeyID, err)
	}
	return string(text), nil
}

// cipher is that of the row id under a key.
func (b *Box) cipher(id, keyID string) (cipher.AEAD, error) {
	key := b.keys[keyID]
	if key == nil {
		return nil, fmt.Errorf("seal: there is no key %q", keyID)
	}
	derived, err := hkdf.Key(sha256.New, key, nil, id, keyLength)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return aead, nil
}
