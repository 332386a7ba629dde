// Package saml is the service provider's side of SAML 2.0 (OASIS, "Assertions and
// Protocols", "Bindings", "Profiles"): the web browser's single sign-on with the
// redirect binding out and the POST binding in. The protocol is crewjam/saml's;
// this package bounds and checks what reaches it, and asks for more than it does.
package saml

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
)

// Service is this server as identity providers know it.
type Service struct {
	// Key signs requests and opens what is encrypted; Next, which may be nil, is
	// the one that follows it: identity providers are told of it beforehand.
	Key, Next *rsa.PrivateKey
	// AllowEncrypted takes encrypted assertions.
	AllowEncrypted bool
	// URL is where the API is, Host the name in the certificate.
	URL, Host string
}

// Name identifiers that a provider may be asked for.
var nameIDFormats = []string{
	string(saml.PersistentNameIDFormat), string(saml.EmailAddressNameIDFormat), string(saml.TransientNameIDFormat), string(saml.UnspecifiedNameIDFormat),
}

// NameIDFormats are the formats of a name identifier that a provider may be asked for.
func NameIDFormats() []string { return slices.Clone(nameIDFormats) }

// provider is the library's view of the service. idp may be nil, for metadata.
func (s Service) provider(idp *IdentityProvider, key *rsa.PrivateKey) (*saml.ServiceProvider, error) {
	base, err := url.Parse(s.URL)
	if err != nil {
		return nil, fmt.Errorf("saml: %w", err)
	}
	sp := &saml.ServiceProvider{
		Key: key, MetadataURL: *base.JoinPath("sso/saml/metadata"), AcsURL: *base.JoinPath("sso/saml/acs"),
		SignatureMethod: dsig.RSASHA256SignatureMethod, AuthnNameIDFormat: saml.PersistentNameIDFormat,
	}
	if idp != nil {
		sp.IDPMetadata = idp.entity
	}
	return sp, nil
}

// downloadValidity is how long a file of metadata is good that somebody has
// downloaded, to give it to an identity provider by hand.
const downloadValidity = 5 // years

// Metadata is the service's own, as XML.
func (s Service) Metadata(download bool, now time.Time) ([]byte, error) {
	sp, err := s.provider(nil, s.Key)
	if err != nil {
		return nil, err
	}
	if sp.Certificate, err = certificate(s.Key, s.Host, s.AllowEncrypted); err != nil {
		return nil, err
	}
	m := sp.Metadata()
	if download {
		m.ValidUntil = now.UTC().AddDate(downloadValidity, 0, 0)
	}
	role := &m.SPSSODescriptors[0]
	role.AuthnRequestsSigned = nil // requests are signed in the redirect's query, not in the document
	role.NameIDFormats = []saml.NameIDFormat{saml.EmailAddressNameIDFormat, saml.PersistentNameIDFormat}
	role.AssertionConsumerServices = slices.DeleteFunc(role.AssertionConsumerServices, func(e saml.IndexedEndpoint) bool { return e.Binding != saml.HTTPPostBinding })
	role.KeyDescriptors = slices.DeleteFunc(role.KeyDescriptors, func(k saml.KeyDescriptor) bool { return k.Use == "encryption" && !s.AllowEncrypted })
	if s.Next != nil {
		next, err := certificate(s.Next, s.Host, s.AllowEncrypted)
		if err != nil {
			return nil, err
		}
		info := saml.KeyInfo{X509Data: saml.X509Data{X509Certificates: []saml.X509Certificate{{Data: base64.StdEncoding.EncodeToString(next.Raw)}}}}
		role.KeyDescriptors = append(role.KeyDescriptors, saml.KeyDescriptor{Use: "signing", KeyInfo: info})
		if s.AllowEncrypted {
			role.KeyDescriptors = append(role.KeyDescriptors, saml.KeyDescriptor{Use: "encryption", KeyInfo: info})
		}
		m.CacheDuration = time.Hour
	}
	text, err := xml.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("saml: metadata: %w", err)
	}
	return text, nil
}

// ErrNoRedirect says that a provider has no address to which a browser could be redirected.
var ErrNoRedirect = errors.New("saml: the identity provider has no endpoint for the redirect binding")

// Request begins a sign-in: it returns the address to which the browser goes and
// the request's id, to which the response must refer. The format of the name
// identifier may be empty; relayState comes back with the response.
func (s Service) Request(idp *IdentityProvider, nameIDFormat, relayState string) (id, address string, err error) {
	sp, err := s.provider(idp, s.Key)
	if err != nil {
		return "", "", err
	}
	if sp.Certificate, err = certificate(s.Key, s.Host, s.AllowEncrypted); err != nil {
		return "", "", err
	}
	endpoint := sp.GetSSOBindingLocation(saml.HTTPRedirectBinding)
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", "", ErrNoRedirect
	}
	request, err := sp.MakeAuthenticationRequest(endpoint, saml.HTTPRedirectBinding, saml.HTTPPostBinding)
	if err != nil {
		return "", "", fmt.Errorf("saml: request: %w", err)
	}
	if nameIDFormat != "" {
		request.NameIDPolicy.Format = &nameIDFormat
	}
	to, err := request.Redirect(relayState, sp)
	if err != nil {
		return "", "", fmt.Errorf("saml: request: %w", err)
	}
	return request.ID, to.String(), nil
}
