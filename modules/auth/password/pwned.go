package password

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Pwned asks the range API of Have I Been Pwned, which learns five digits of a
// password's hash and no more. https://haveibeenpwned.com/API/v3#PwnedPasswords
type Pwned struct {
	// Transport carries the requests.
	Transport http.RoundTripper
	// UserAgent names who asks.
	UserAgent string
}

const (
	pwnedURL     = "https://api.pwnedpasswords.com/range/"
	pwnedTimeout = 5 * time.Second
	maxPwned     = 1 << 20
)

// Knows reports whether the password is in a known breach.
func (p Pwned) Knows(ctx context.Context, password string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, pwnedTimeout)
	defer cancel()
	sum := sha1.Sum([]byte(password))
	hash := strings.ToUpper(hex.EncodeToString(sum[:]))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, pwnedURL+hash[:5], nil)
	if err != nil {
		return false, fmt.Errorf("password: pwned: %w", err)
	}
	req.Header.Set("User-Agent", p.UserAgent)
	req.Header.Set("Add-Padding", "true")
	resp, err := p.Transport.RoundTrip(req)
	if err != nil {
		return false, fmt.Errorf("password: pwned: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("password: pwned: status %d", resp.StatusCode)
	}
	lines := bufio.NewScanner(io.LimitReader(resp.Body, maxPwned))
	for lines.Scan() {
		suffix, count, _ := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		if suffix == hash[5:] {
			return count != "0", nil // padding counts zero
		}
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("password: pwned: %w", err)
	}
	return false, nil
}

// Breached is the weakness of a known password, joined to another one, which may be nil.
func Breached(w *Weakness) *Weakness {
	const message = "Password is known to be weak and easy to guess, please choose a different one."
	if w == nil {
		return &Weakness{Message: message, Reasons: []string{"pwned"}}
	}
	return &Weakness{Message: w.Message + " " + message, Reasons: append(w.Reasons, "pwned")}
}
