package saml

import (
	"strings"
	"time"

	"github.com/crewjam/saml"
)

// Assertion is what a provider vouches for: who somebody is, and for how long.
type Assertion struct{ a *saml.Assertion }

// ID is the assertion's own, unique to its issuer.
func (a *Assertion) ID() string { return a.a.ID }

// Answers are the requests to which the assertion's confirmations refer.
func (a *Assertion) Answers() (ids []string) {
	for _, c := range a.a.Subject.SubjectConfirmations {
		if c.SubjectConfirmationData != nil && c.SubjectConfirmationData.InResponseTo != "" {
			ids = append(ids, c.SubjectConfirmationData.InResponseTo)
		}
	}
	return ids
}

// subjectID is the attribute made to tell people apart (OASIS, "SAML V2.0 Subject Identifier Attributes Profile").
const subjectID = "urn:oasis:names:tc:SAML:attribute:subject-id"

// UserID is who the person is to the provider, always the same for one; empty
// when the assertion has only a name for the occasion.
func (a *Assertion) UserID() string {
	if values := a.values(subjectID); len(values) > 0 {
		return values[0]
	}
	switch name := a.nameID(); saml.NameIDFormat(name.Format) {
	case saml.TransientNameIDFormat:
		return ""
	case saml.EmailAddressNameIDFormat:
		return strings.ToLower(strings.TrimSpace(name.Value))
	default:
		return name.Value
	}
}

func (a *Assertion) nameID() saml.NameID {
	if a.a.Subject == nil || a.a.Subject.NameID == nil {
		return saml.NameID{}
	}
	return *a.a.Subject.NameID
}

// emailAttributes are the names under which providers send an address, best first.
var emailAttributes = []string{
	"urn:oid:0.9.2342.19200300.100.1.3",
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
	"http://schemas.xmlsoap.org/claims/EmailAddress",
	"mail",
	"email",
}

// Email is the person's address where no mapping names the attribute, or empty.
func (a *Assertion) Email() string {
	for _, name := range emailAttributes {
		for _, value := range a.values(name) {
			if value != "" {
				return value
			}
		}
	}
	if name := a.nameID(); name.Format == string(saml.EmailAddressNameIDFormat) {
		return name.Value
	}
	return ""
}

// values are an attribute's, by its name or friendly name in any case.
func (a *Assertion) values(name string) (values []string) {
	for _, statement := range a.a.AttributeStatements {
		for _, attribute := range statement.Attributes {
			if strings.EqualFold(attribute.Name, name) || strings.EqualFold(attribute.FriendlyName, name) {
				for _, v := range attribute.Values {
					values = append(values, v.Value)
				}
			}
		}
	}
	return values
}

// SessionEnd is when the provider wants the session to end; zero when it does not say.
func (a *Assertion) SessionEnd() time.Time {
	for _, statement := range a.a.AuthnStatements {
		if end := statement.SessionNotOnOrAfter; end != nil && !end.IsZero() {
			return end.UTC()
		}
	}
	return time.Time{}
}

// Mapping says which attributes become which claims.
type Mapping struct {
	Keys map[string]Attribute `json:"keys,omitempty"`
}

// Attribute is where a claim comes from: the first of Name and Names that has a
// value, all its values when Array is set, or else Default.
type Attribute struct {
	Name    string   `json:"name,omitempty"`
	Names   []string `json:"names,omitempty"`
	Default any      `json:"default,omitempty"`
	Array   bool     `json:"array,omitempty"`
}

// Claims are the assertion's by a mapping.
func (a *Assertion) Claims(m Mapping) map[string]any {
	claims := map[string]any{}
	for key, from := range m.Keys {
		if value := a.claim(from); value != nil {
			claims[key] = value
		}
	}
	return claims
}

func (a *Assertion) claim(from Attribute) any {
	names := from.Names
	if from.Name != "" {
		names = append([]string{from.Name}, names...)
	}
	for _, name := range names {
		var found []string
		for _, value := range a.values(name) {
			if value != "" {
				found = append(found, value)
			}
		}
		if len(found) > 0 && from.Array {
			return found
		}
		if len(found) > 0 {
			return found[0]
		}
	}
	return from.Default
}
