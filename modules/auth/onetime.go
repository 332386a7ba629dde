package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/ratelimit"
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
// what its link carries, encrypted: GoTrue's form.
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

// newMailCode is newOneTime of the length that mails have; or the code of the
// address that the app's hook has sent.
func (m *Module) newMailCode(ctx context.Context, address string, p pkce) oneTime {
	r := slipOf(ctx).rehearsal
	if r == nil {
		return newOneTime(address, m.cfg.Flow.OTPLength, p)
	}
	code, sent := r.codes[address]
	if !sent {
		code = newOneTime(address, m.cfg.Flow.OTPLength, p)
		r.codes[address] = code
	}
	return code
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

// linkToken is what a link carries of a pending token: its hash, encrypted. The hash
// itself is no secret to whoever tries all codes of an address: by links they
// would get past the count of the codes that are typed.
func (m *Module) linkToken(ctx context.Context, hash string) string {
	return m.permuted(ctx, hash, 0, 1, 2, 3)
}

// permuted is a keyed permutation of hashes, a Feistel network of HMAC-SHA256: four
// rounds make it one that nobody without the key can tell from chance (Luby and
// Rackoff, 1988). The rounds in reverse undo it. It is empty for what is no hash.
func (m *Module) permuted(ctx context.Context, hash string, rounds ...int) string {
	digits, isPKCE := strings.CutPrefix(hash, pkcePrefix)
	block, err := hex.DecodeString(digits)
	if err != nil || len(block) != sha256.Size224 {
		return ""
	}
	left, right := block[:len(block)/2], block[len(block)/2:]
	for _, round := range rounds {
		mac := hmac.New(sha256.New, m.linkKey)
		fmt.Fprintf(mac, "%s\n%d\n%s", project.From(ctx).Ref, round, right)
		mixed := mac.Sum(nil)[:len(left)]
		subtle.XORBytes(mixed, mixed, left)
		left, right = right, mixed
	}
	permuted := hex.EncodeToString(right) + hex.EncodeToString(left)
	if isPKCE {
		permuted = pkcePrefix + permuted
	}
	return permuted
}

// linked finds the pending token that a link carries: its hash, and whose it is. A
// link with the hash itself, of GoTrue's or made by hand, is taken too, but of all
// that carry nothing else only so many are looked up in an hour.
func (m *Module) linked(ctx context.Context, q db.Queryer, carried string, kinds ...store.OneTime) (hash string, user *store.User, err error) {
	hash = m.permuted(ctx, carried, 3, 2, 1, 0)
	user, err = store.UserByOneTime(ctx, q, hash, kinds...)
	if !errors.Is(err, store.ErrNotFound) {
		return hash, user, err
	}
	if !slipOf(ctx).again("link") {
		limit := ratelimit.Limit{Rate: m.cfg.Flow.RateLimitCode, Period: time.Hour}
		err = m.take(ctx, "link/"+project.From(ctx).Ref, limit, tooMany)
		if _, refused := errors.AsType[*apierr.Error](err); refused {
			return "", nil, store.ErrNotFound
		}
		if err != nil {
			return "", nil, err
		}
	}
	user, err = store.UserByOneTime(ctx, q, carried, kinds...)
	return carried, user, err
}
