package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"math/big"
	"time"

	"github.com/madbase/madbase/modules/auth/store"
)

// pkcePrefix begins the hash of a link whose flow ends in a code for who began it.
const pkcePrefix = "pkce_"

// newCode returns a random number of so many digits (1 to 18).
func newCode(digits int) string {
	limit := int64(1)
	for range digits {
		limit *= 10
	}
	n, err := rand.Int(rand.Reader, big.NewInt(limit))
	if err != nil { // crypto/rand's reader never fails
		return ""
	}
	return fmt.Sprintf("%0*d", digits, n)
}

// hashCode is what is stored of a code that is sent to an address or number, and
// what its link carries: GoTrue's form.
func hashCode(addressee, code string) string {
	sum := sha256.Sum224([]byte(addressee + code))
	return hex.EncodeToString(sum[:])
}

// oneTime is a new code with its hash.
type oneTime struct{ code, hash string }

// newOneTime makes a code for an addressee. Its hash tells whether the flow ends in a code (PKCE).
func newOneTime(addressee string, digits int, p pkce) oneTime {
	code := newCode(digits)
	hash := hashCode(addressee, code)
	if p.asked() {
		hash = pkcePrefix + hash
	}
	return oneTime{code, hash}
}

// newMailCode is newOneTime of the length that mails have.
func (m *Module) newMailCode(address string, p pkce) oneTime {
	return newOneTime(address, m.cfg.Flow.OTPLength, p)
}

// opens reports whether hash is the pending token's, with or without the prefix
// of PKCE, and not later than life after it was sent. It takes the same time
// whatever hash is.
func opens(p store.Pending, hash string, now time.Time, life time.Duration) bool {
	same := subtle.ConstantTimeCompare([]byte(p.Hash), []byte(hash)) | subtle.ConstantTimeCompare([]byte(p.Hash), []byte(pkcePrefix+hash))
	return p.Hash != "" && same == 1 && p.SentAt != nil && !now.After(p.SentAt.Add(life))
}

// mailCodeLife is how long a mail's code holds.
func (m *Module) mailCodeLife() time.Duration { return time.Duration(m.cfg.Flow.OTPExp) * time.Second }
