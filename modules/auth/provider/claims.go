package provider

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Claims are what is kept of a person: OpenID Connect's standard claims, what a
// service has of its own in Custom, and GoTrue's older names.
type Claims struct {
	Issuer   string   `json:"iss,omitempty"`
	Subject  string   `json:"sub,omitempty"`
	Audience Audience `json:"aud,omitempty"`
	IssuedAt float64  `json:"iat,omitempty"`
	Expires  float64  `json:"exp,omitempty"`

	Name              string  `json:"name,omitempty"`
	FamilyName        string  `json:"family_name,omitempty"`
	GivenName         string  `json:"given_name,omitempty"`
	MiddleName        string  `json:"middle_name,omitempty"`
	Nickname          string  `json:"nickname,omitempty"`
	PreferredUsername string  `json:"preferred_username,omitempty"`
	Profile           string  `json:"profile,omitempty"`
	Picture           string  `json:"picture,omitempty"`
	Website           string  `json:"website,omitempty"`
	Gender            string  `json:"gender,omitempty"`
	Birthdate         string  `json:"birthdate,omitempty"`
	ZoneInfo          string  `json:"zoneinfo,omitempty"`
	Locale            string  `json:"locale,omitempty"`
	UpdatedAt         *Moment `json:"updated_at,omitempty"`
	Email             string  `json:"email,omitempty"`
	EmailVerified     Flag    `json:"email_verified"`
	Phone             string  `json:"phone,omitempty"`
	PhoneVerified     Flag    `json:"phone_verified"`

	Custom map[string]any `json:"custom_claims,omitempty"`

	FullName   string `json:"full_name,omitempty"`
	AvatarURL  string `json:"avatar_url,omitempty"`
	Slug       string `json:"slug,omitempty"`
	ProviderID string `json:"provider_id,omitempty"`
	UserName   string `json:"user_name,omitempty"`
}

// Data are the claims as identity_data and user_metadata keep them. The names are
// those of the struct and no others: what a service adds cannot set more.
func (c Claims) Data() (map[string]any, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("provider: claims: %w", err)
	}
	var data map[string]any
	if err := json.Unmarshal(text, &data); err != nil {
		return nil, fmt.Errorf("provider: claims: %w", err)
	}
	return data, nil
}

// legacy completes claims by GoTrue's older names for the same: every reader that
// fills Subject, Name and Picture says the rest so.
func (c Claims) legacy() Claims {
	c.ProviderID, c.FullName, c.AvatarURL = c.Subject, c.Name, c.Picture
	return c
}

// Audience is the claim aud: a text or a list (RFC 7519, section 4.1.3).
type Audience []string

// UnmarshalJSON reads either form.
func (a *Audience) UnmarshalJSON(text []byte) error {
	var single string
	if json.Unmarshal(text, &single) == nil {
		*a = Audience{single}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// Flag is a boolean that some services write as text, "true" or "1".
type Flag bool

// UnmarshalJSON reads either form; what is neither is false.
func (f *Flag) UnmarshalJSON(text []byte) error {
	if quoted, err := strconv.Unquote(string(text)); err == nil {
		text = []byte(quoted)
	}
	*f = string(text) == "true" || string(text) == "1"
	return nil
}

// Moment is a time that is seconds since 1970 (as OpenID Connect says) or, with
// some services, a text in RFC 3339.
type Moment time.Time

// MarshalJSON writes RFC 3339.
func (m *Moment) MarshalJSON() ([]byte, error) { return time.Time(*m).MarshalJSON() }

// UnmarshalJSON reads either form.
func (m *Moment) UnmarshalJSON(text []byte) error {
	var seconds float64
	if json.Unmarshal(text, &seconds) == nil {
		*m = Moment(time.Unix(int64(seconds), 0).UTC())
		return nil
	}
	var at time.Time
	if err := json.Unmarshal(text, &at); err != nil {
		return fmt.Errorf("provider: time: %w", err)
	}
	*m = Moment(at.UTC())
	return nil
}
