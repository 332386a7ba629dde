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

// Hasher hashes with bcrypt, as many at once as the machine has cores, on threads that give way to
// all others. It compares with hashes by argon2i, argon2id and Firebase's scrypt, too.
type Hasher struct {
	cost    int
	slots   chan struct{}
	waiting atomic.Int64
	decoy   []byte
}

// Slots is how many passwords are hashed at once. A hash occupies one of Go's
// processors (GOMAXPROCS) for its 50 ms and more, so that a process that answers
// other requests meanwhile needs as many beside.
func Slots() int { return runtime.NumCPU() }

// NewHasher returns a Hasher of bcrypt's given cost (10 as in GoTrue; tests take bcrypt.MinCost).
func NewHasher(cost int) (*Hasher, error) {
	decoy, err := bcrypt.GenerateFromPassword([]byte("nobody has this password"), cost)
	if err != nil {
		return nil, fmt.Errorf("password: cost %d: %w", cost, err)
	}
	return &Hasher{cost: cost, slots: make(chan struct{}, Slots()), decoy: decoy}, nil
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
	var hash []byte
	inBackground(func() { hash, err = bcrypt.GenerateFromPassword([]byte(password), h.cost) })
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
	matches := false
	inBackground(func() { matches = h.matches(hash, password) })
	if !matches {
		return ErrMismatch
	}
	return nil
}

func (h *Hasher) matches(hash, password string) bool {
	if matches, err := parseForeign(hash); err == nil {
		return matches(password)
	}
	stored, given := []byte(hash), []byte(password)
	if cost, err := bcrypt.Cost(stored); err != nil || cost > maxCost {
		stored = h.decoy
	}
	err := bcrypt.CompareHashAndPassword(stored, given[:min(len(given), MaxLength)])
	return err == nil && len(password) <= MaxLength && string(stored) == hash
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
