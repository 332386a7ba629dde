package edge

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/redis/rueidis"
	"golang.org/x/crypto/acme/autocert"

	"github.com/madbase/madbase/platform/redisx"
)

// sharedCache keeps ACME's account, certificates and proofs in Redis, so that any
// of several proxies can answer the authority and one order serves them all. It
// encrypts them: among them are private keys.
type sharedCache struct {
	redis *redisx.Client
	aead  cipher.AEAD
}

// NewSharedCache returns a cache on client whose entries are readable with secret only.
func NewSharedCache(client *redisx.Client, secret string) (autocert.Cache, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "madbase acme cache", 32)
	if err != nil {
		return nil, fmt.Errorf("edge: derive key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	return &sharedCache{redis: client, aead: aead}, nil
}

// Get implements autocert.Cache. What was written under another secret is not there.
func (c *sharedCache) Get(ctx context.Context, name string) ([]byte, error) {
	var sealed []byte
	err := c.redis.Do(ctx, func(ctx context.Context, r rueidis.Client) (err error) {
		sealed, err = r.Do(ctx, r.B().Get().Key(c.redis.Key("acme", name)).Build()).AsBytes()
		if rueidis.IsRedisNil(err) {
			sealed, err = nil, nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("edge: read ACME cache: %w", err)
	}
	size := c.aead.NonceSize()
	if len(sealed) < size {
		return nil, autocert.ErrCacheMiss
	}
	plain, err := c.aead.Open(nil, sealed[:size], sealed[size:], []byte(name))
	if err != nil {
		return nil, autocert.ErrCacheMiss
	}
	return plain, nil
}

// Put implements autocert.Cache.
func (c *sharedCache) Put(ctx context.Context, name string, data []byte) error {
	nonce := make([]byte, c.aead.NonceSize())
	_, _ = rand.Read(nonce) // which never fails
	sealed := c.aead.Seal(nonce, nonce, data, []byte(name))
	err := c.redis.Do(ctx, func(ctx context.Context, r rueidis.Client) error {
		return r.Do(ctx, r.B().Set().Key(c.redis.Key("acme", name)).Value(rueidis.BinaryString(sealed)).Build()).Error()
	})
	if err != nil {
		return fmt.Errorf("edge: write ACME cache: %w", err)
	}
	return nil
}

// Delete implements autocert.Cache.
func (c *sharedCache) Delete(ctx context.Context, name string) error {
	err := c.redis.Do(ctx, func(ctx context.Context, r rueidis.Client) error {
		return r.Do(ctx, r.B().Del().Key(c.redis.Key("acme", name)).Build()).Error()
	})
	if err != nil {
		return fmt.Errorf("edge: delete from ACME cache: %w", err)
	}
	return nil
}
