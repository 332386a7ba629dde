package mail

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/madbase/madbase/platform/secret"
)

// Sealer encrypts what is put down, so that neither codes nor addresses can be
// read in the database or in its dumps.
type Sealer struct{ aead cipher.AEAD }

// NewSealer derives its key from the project's secret; an empty one makes a key
// up. What another key has sealed cannot be opened.
func NewSealer(from secret.String) (*Sealer, error) {
	if from == "" {
		from = secret.Random()
	}
	key, err := hex.DecodeString(from.Derive("auth-outbox", 32).Reveal())
	if err != nil {
		return nil, fmt.Errorf("mail: key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("mail: key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("mail: key: %w", err)
	}
	return &Sealer{aead}, nil
}

// Seal encrypts v's JSON for the row id alone.
func (s *Sealer) Seal(id string, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("mail: seal: %w", err)
	}
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(text)+s.aead.Overhead())
	_, _ = rand.Read(nonce) // never fails
	return s.aead.Seal(nonce, nonce, text, []byte(id)), nil
}

// ErrSealed says that something was sealed with another key, or for another row.
var ErrSealed = errors.New("mail: sealed with another key: has JWT_SECRET changed?")

// Open decrypts into v what Seal made for id.
func (s *Sealer) Open(id string, sealed []byte, v any) error {
	if len(sealed) < s.aead.NonceSize() {
		return ErrSealed
	}
	text, err := s.aead.Open(nil, sealed[:s.aead.NonceSize()], sealed[s.aead.NonceSize():], []byte(id))
	if err != nil {
		return ErrSealed
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("mail: open: %w", err)
	}
	return nil
}
