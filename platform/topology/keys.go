package topology

import (
	"crypto/sha256"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/secret"
)

// Keys is what proxies, which have no registry, are told of API keys: hashes, as
// claims.HashKey makes them, from which no key can be had.
type Keys struct {
	// Projects are by their refs the opaque keys that are not revoked.
	Projects map[string][][]byte `json:"projects,omitempty"`
	// Revoked are those of all projects that are, tokens too.
	Revoked [][]byte `json:"revoked,omitempty"`
	// Unsigned says that what JWT_SECRET and JWT_KEYS sign counts for nothing any more.
	Unsigned bool `json:"unsigned,omitempty"`
}

// maxKeys bounds the hashes that proxies are told of. What is beyond it, they leave
// to the workers.
const maxKeys = 100_000

// limited is k with no more than maxKeys hashes; revoked keys come first.
func (k *Keys) limited() *Keys {
	room := maxKeys - len(k.Revoked)
	for _, hashes := range k.Projects {
		room -= len(hashes)
	}
	if room >= 0 {
		return k
	}
	return &Keys{Revoked: k.Revoked[:min(len(k.Revoked), maxKeys)], Unsigned: k.Unsigned || len(k.Revoked) > maxKeys}
}

// KeyIndex finds keys by their hashes.
type KeyIndex struct {
	project map[[sha256.Size]byte]string
	revoked map[[sha256.Size]byte]bool
	trusted bool
}

// NewKeyIndex returns the index of k.
func NewKeyIndex(k Keys) *KeyIndex {
	x := &KeyIndex{project: map[[sha256.Size]byte]string{}, revoked: map[[sha256.Size]byte]bool{}, trusted: !k.Unsigned}
	for ref, hashes := range k.Projects {
		for _, hash := range hashes {
			if len(hash) == sha256.Size {
				x.project[[sha256.Size]byte(hash)] = ref
			}
		}
	}
	for _, hash := range k.Revoked {
		if len(hash) == sha256.Size {
			x.revoked[[sha256.Size]byte(hash)] = true
		}
	}
	return x
}

// ProjectOfKey returns the ref of the project that has the opaque key, if it is known
// to be valid.
func (x *KeyIndex) ProjectOfKey(text string) (ref string, found bool) {
	ref, found = x.project[claims.HashKey(secret.String(text))]
	return ref, found
}

// Revoked reports whether a key is known to be revoked.
func (x *KeyIndex) Revoked(text string) bool { return x.revoked[claims.HashKey(secret.String(text))] }

// Trusted reports whether tokens that the configured keys have signed may be API keys.
func (x *KeyIndex) Trusted() bool { return x.trusted }
