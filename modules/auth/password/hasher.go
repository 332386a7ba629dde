// Package password hashes and judges passwords. Hashing is bounded, so that a
// burst of sign-ins cannot take the processor from every other request.
package password

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/crypto/bcrypt"
)

// MaxLength is the longest password in bytes: bcrypt looks no further.
const MaxLength = 72

// Reasons why a password is not hashed or does not match.
var (
	// ErrMismatch says that the password is not the hash's.
	ErrMismatch = errors.New("password: does not match")
	// ErrBusy says that too many callers wait already.
	ErrBusy = errors.New("password: too many are being hashed")
	// ErrTooLong says that the password has more than MaxLength bytes.
	ErrTooLong = errors.New("password: longer than 72 bytes")
)

// waitersPerSlot bounds the queue: at some 50 ms a hash the last one waits about 3 s.
const waitersPerSlot = 64

// Hasher hashes with bcrypt, as many at once as there are cores. It compares with
// hashes by argon2i, argon2id and Firebase's scrypt, too.
type Hasher struct {
	cost    int
	slots   chan struct{}
	waiting atomic.Int64
	decoy   []byte
}

// NewHasher returns a Hasher of bcrypt's given cost (10 as in GoTrue; tests take bcrypt.MinCost).
func NewHasher(cost int) (*Hasher, error) {
	decoy, err := bcrypt.GenerateFromPassword([]byte("nobody has this password"), cost)
	if err != nil {
		return nil, fmt.Errorf("password: cost %d: %w", cost, err)
	}
	return &Hasher{cost: cost, slots: make(chan struct{}, runtime.GOMAXPROCS(0)), decoy: decoy}, nil
}

// Hash returns the password's hash. The error is ErrBusy, ErrTooLong or the end of ctx.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if len(password) > MaxLength {
		return "", ErrTooLong
	}
	release, err := h.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), h.cost)
	if err != nil {
		return "", fmt.Errorf("password: hash: %w", err)
	}
	return string(hash), nil
}

// Compare returns nil when password is that of hash, else ErrMismatch, ErrBusy
// or the end of ctx. An empty or foreign hash matches nothing and costs the same
// time, so that nobody learns by a clock which accounts exist.
func (h *Hasher) Compare(ctx context.Context, hash, password string) error {
	release, err := h.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	given := []byte(password)
	if len(given) > MaxLength {
		given = given[:MaxLength]
	}
	if matches, err := parseForeign(hash); err == nil {
		if !matches(password) {
			return ErrMismatch
		}
		return nil
	}
	stored := []byte(hash)
	if cost, err := bcrypt.Cost(stored); err != nil || cost > maxCost {
		stored = h.decoy
	}
	err = bcrypt.CompareHashAndPassword(stored, given)
	if err != nil || len(password) > MaxLength || string(stored) != hash {
		return ErrMismatch
	}
	return nil
}

// Valid reports whether hash is one that Compare understands.
func Valid(hash string) bool {
	cost, err := bcrypt.Cost([]byte(hash))
	if err == nil {
		return cost <= maxCost
	}
	_, err = parseForeign(hash)
	return err == nil
}

// maxCost is the most that a bcrypt hash may ask for: some four seconds.
const maxCost = 16

// acquire waits for a core's turn, unless too many wait before.
func (h *Hasher) acquire(ctx context.Context) (release func(), err error) {
	release = func() { <-h.slots }
	select {
	case h.slots <- struct{}{}:
		return release, nil
	default:
	}
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > int64(cap(h.slots)*waitersPerSlot) {
		return nil, ErrBusy
	}
	select {
	case h.slots <- struct{}{}:
		return release, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("password: wait: %w", context.Cause(ctx))
	}
}
