package saml

import (
	"encoding/xml"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/crewjam/saml"
)

// MaxMetadata is the greatest length of an identity provider's metadata in bytes.
const MaxMetadata = 1 << 20

// IdentityProvider is what a provider's metadata tells of it.
type IdentityProvider struct{ entity *saml.EntityDescriptor }

// FormatError says what is wrong with metadata, in GoTrue's words where it has some.
type FormatError string

// Error is the text.
func (e FormatError) Error() string { return string(e) }

// ParseMetadata reads an identity provider's metadata: one entity, or of several
// the first that is an identity provider. Its error is a FormatError.
func ParseMetadata(text []byte) (*IdentityProvider, error) {
	if !utf8.Valid(text) {
		return nil, FormatError("SAML Metadata XML contains invalid UTF-8 characters, which are not supported at this time")
	}
	if len(text) > MaxMetadata {
		return nil, FormatError("SAML Metadata XML is too long")
	}
	if _, err := scan(text); err != nil {
		return nil, FormatError("SAML Metadata is not valid XML")
	}
	entity, err := firstEntity(text)
	switch {
	case err != nil:
		return nil, FormatError("SAML Metadata is not valid")
	case entity.EntityID == "":
		return nil, FormatError("SAML Metadata does not contain an EntityID")
	case len(entity.IDPSSODescriptors) < 1:
		return nil, FormatError("SAML Metadata does not contain any IDPSSODescriptor")
	case len(entity.IDPSSODescriptors) > 1:
		return nil, FormatError("SAML Metadata contains multiple IDPSSODescriptors")
	}
	return &IdentityProvider{entity}, nil
}

func firstEntity(text []byte) (*saml.EntityDescriptor, error) {
	var root struct{ XMLName xml.Name }
	if err := xml.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("saml: metadata: %w", err)
	}
	if root.XMLName.Local != "EntitiesDescriptor" {
		entity := &saml.EntityDescriptor{}
		if err := xml.Unmarshal(text, entity); err != nil {
			return nil, fmt.Errorf("saml: metadata: %w", err)
		}
		return entity, nil
	}
	var all saml.EntitiesDescriptor
	if err := xml.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("saml: metadata: %w", err)
	}
	for i, e := range all.EntityDescriptors {
		if len(e.IDPSSODescriptors) > 0 {
			return &all.EntityDescriptors[i], nil
		}
	}
	return nil, errors.New("saml: metadata: no identity provider")
}

// EntityID is the provider's name for itself.
func (p *IdentityProvider) EntityID() string { return p.entity.EntityID }

// ValidUntil is when the metadata ends; zero when it does not say.
func (p *IdentityProvider) ValidUntil() time.Time { return p.entity.ValidUntil }

// unlabelled is how long metadata is good that does not say.
const unlabelled = 24 * time.Hour

// Stale reports whether metadata that was fetched at a time should be fetched again now.
func (p *IdentityProvider) Stale(fetched, now time.Time) bool {
	until, cache := p.entity.ValidUntil, p.entity.CacheDuration
	if until.IsZero() && cache == 0 {
		cache = unlabelled
	}
	return !until.IsZero() && now.After(until) || cache != 0 && now.After(fetched.Add(cache))
}
