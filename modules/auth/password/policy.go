package password

import (
	"fmt"
	"strings"
)

// Policy is what a new password must have.
type Policy struct {
	// MinLength is in bytes.
	MinLength int
	// Required are sets of characters; each must be met by one character at least.
	Required []string
}

// Weakness says why a password is refused: in words, and as GoTrue's reasons "length" and "characters".
type Weakness struct {
	Message string   `json:"message"`
	Reasons []string `json:"reasons"`
}

// Check returns what is weak about password, or nil.
func (p Policy) Check(password string) *Weakness {
	var messages, reasons []string
	if len(password) < p.MinLength {
		reasons = append(reasons, "length")
		messages = append(messages, fmt.Sprintf("Password should be at least %d characters.", p.MinLength))
	}
	for _, set := range p.Required {
		if !strings.ContainsAny(password, set) {
			reasons = append(reasons, "characters")
			messages = append(messages, fmt.Sprintf("Password should contain at least one character of each: %s.", strings.Join(p.Required, ", ")))
			break
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	return &Weakness{Message: strings.Join(messages, " "), Reasons: reasons}
}

// ParseSets reads GoTrue's notation of character sets: parted by ':', where '\:'
// is a colon itself. Empty sets are left out.
func ParseSets(text string) []string {
	var sets []string
	var set strings.Builder
	flush := func() {
		if set.Len() > 0 {
			sets = append(sets, set.String())
			set.Reset()
		}
	}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && text[i+1] == ':':
			set.WriteByte(':')
			i++
		case text[i] == ':':
			flush()
		default:
			set.WriteByte(text[i])
		}
	}
	flush()
	return sets
}
