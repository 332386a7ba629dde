package registry

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/madbase/madbase/platform/secret"
)

// Config is the key that the registry's secrets are encrypted under.
type Config struct {
	MasterKey secret.String `env:"MADBASE_MASTER_KEY" doc:"Key under which projects' secrets and secret settings are encrypted in the database: 32 bytes in base64. Several, separated by commas, are for a change of key: the first encrypts, all decrypt. Empty: derived from JWT_SECRET, which then must not change while there are projects. The embedded default generates one." group:"optional"`
}

// Validate says whether the key is one.
func (c Config) Validate() error {
	_, err := c.keys()
	return err
}

const keySize = 32

func (c Config) keys() ([][]byte, error) {
	var keys [][]byte
	for text := range strings.SplitSeq(c.MasterKey.Reveal(), ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(key) != keySize {
			return nil, errors.New("MADBASE_MASTER_KEY must be 32 bytes in base64, or several such keys separated by commas")
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// A sealed secret is a byte of format, the first bytes of the key's hash, a nonce
// and what AES-256-GCM makes of the text and the place that it stands in.
const (
	format    = 1
	keyIDSize = 4
	nonceSize = 12
)

// ErrSealed is the reason when a secret cannot be opened: it was sealed under
// another master key, for another place, or is damaged.
var ErrSealed = errors.New("registry: a secret does not open under the master key")

// Sealer encrypts single secrets at rest. A secret that is copied to another place
// does not open there.
type Sealer struct{ keys []sealingKey }

type sealingKey struct {
	id   []byte
	aead cipher.AEAD
}

// NewSealer returns the Sealer of the master key, or of one that derives from
// jwtSecret where there is none. The error is that of Config.Validate.
func NewSealer(cfg Config, jwtSecret secret.String) (*Sealer, error) {
	keys, err := cfg.keys()
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		derived, err := hex.DecodeString(jwtSecret.Derive("registry-master-key", keySize).Reveal())
		if err != nil {
			return nil, fmt.Errorf("registry: derive the master key: %w", err)
		}
		keys = [][]byte{derived}
	}
	s := &Sealer{}
	for _, key := range keys {
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("registry: master key: %w", err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("registry: master key: %w", err)
		}
		sum := sha256.Sum256(key)
		s.keys = append(s.keys, sealingKey{id: sum[:keyIDSize], aead: aead})
	}
	return s, nil
}

// Seal encrypts text for the place that it is to stand in, such as
// "projects/blog/jwt_secret".
func (s *Sealer) Seal(place string, text secret.String) []byte {
	key := s.keys[0]
	sealed := append([]byte{format}, key.id...)
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // never fails
	sealed = append(sealed, nonce...)
	return key.aead.Seal(sealed, nonce, []byte(text.Reveal()), []byte(place))
}

// Open decrypts what was sealed for place. The error wraps ErrSealed.
func (s *Sealer) Open(place string, sealed []byte) (secret.String, error) {
	const header = 1 + keyIDSize + nonceSize
	if len(sealed) < header || sealed[0] != format {
		return "", fmt.Errorf("%w: %s", ErrSealed, place)
	}
	id, nonce := sealed[1:1+keyIDSize], sealed[1+keyIDSize:header]
	for _, key := range s.keys {
		if !bytes.Equal(id, key.id) {
			continue
		}
		if text, err := key.aead.Open(nil, nonce, sealed[header:], []byte(place)); err == nil {
			return secret.String(text), nil
		}
	}
	return "", fmt.Errorf("%w: %s", ErrSealed, place)
}
