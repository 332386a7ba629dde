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
	// Seen answers for it what it has told before; nil is nothing.
	Seen *Seen
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
	digest := sha1.Sum([]byte(password))
	if p.Seen.knows(digest) {
		return true, nil
	}
	hash := strings.ToUpper(hex.EncodeToString(digest[:]))
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
	known, told, err := readRange(io.LimitReader(resp.Body, maxPwned), hash)
	if err != nil {
		return false, fmt.Errorf("password: pwned: %w", err)
	}
	p.Seen.add(told)
	return known, nil
}

// readRange reads an answer: whether hash is in it, and all that are.
func readRange(body io.Reader, hash string) (known bool, told []sum, err error) {
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		suffix, count, _ := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		raw, err := hex.DecodeString(hash[:5] + suffix)
		if err != nil || len(raw) != sha1.Size || count == "0" { // padding counts zero
			continue
		}
		known = known || suffix == hash[5:]
		told = append(told, sum(raw))
	}
	return known, told, lines.Err()
}

// Breached is the weakness of a known password, joined to another one, which may be nil.
func Breached(w *Weakness) *Weakness {
	const message = "Password is known to be weak and easy to guess, please choose a different one."
	if w == nil {
		return &Weakness{Message: message, Reasons: []string{"pwned"}}
	}
	return &Weakness{Message: w.Message + " " + message, Reasons: append(w.Reasons, "pwned")}
}
