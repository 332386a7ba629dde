package saml

import (
	"crypto/rsa"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	"github.com/crewjam/saml/xmlenc"
)

// ErrInvalid says that a response is not to be believed. Its text is for the log:
// whoever brought the response is told no more than that.
var ErrInvalid = errors.New("saml: response")

// Response is one that has come in and is not checked yet.
type Response struct {
	// Issuer and InResponseTo are what it says of itself.
	Issuer, InResponseTo string

	text      []byte
	encrypted bool
}

// ReadResponse reads what a response says of itself. Nothing of it is to be
// believed before Check has been.
func ReadResponse(text []byte) (*Response, error) {
	n, err := scan(text)
	if err != nil {
		return nil, err
	}
	if n.responses != 1 || n.assertions+n.encrypted > 1 {
		return nil, fmt.Errorf("%w does not have one response with one assertion", ErrDocument)
	}
	var r struct {
		XMLName      xml.Name `xml:"urn:oasis:names:tc:SAML:2.0:protocol Response"`
		InResponseTo string   `xml:",attr"`
		Issuer       string   `xml:"urn:oasis:names:tc:SAML:2.0:assertion Issuer"`
		Assertion    struct {
			Issuer string `xml:"urn:oasis:names:tc:SAML:2.0:assertion Issuer"`
		} `xml:"urn:oasis:names:tc:SAML:2.0:assertion Assertion"`
	}
	if err := xml.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	if r.Issuer == "" { // optional there
		r.Issuer = r.Assertion.Issuer
	}
	return &Response{Issuer: strings.TrimSpace(r.Issuer), InResponseTo: r.InResponseTo, text: text, encrypted: n.encrypted > 0}, nil
}

// Check returns what a response asserts when it is the provider's, signed by it,
// and meant for this service now. requestID is the request that it must answer;
// empty when the provider itself began the sign-in. An error is ErrInvalid.
func (s Service) Check(r *Response, idp *IdentityProvider, requestID string) (*Assertion, error) {
	key, err := s.keyFor(r)
	if err != nil {
		return nil, err
	}
	sp, err := s.provider(idp, key)
	if err != nil {
		return nil, err
	}
	sp.AllowIDPInitiated = requestID == ""
	parsed, err := parse(sp, r.text, requestID)
	if invalid, ok := errors.AsType[*saml.InvalidResponseError](err); ok {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, invalid.PrivateErr)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := strict(parsed, saml.TimeNow()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return &Assertion{parsed}, nil
}

// parse is the library's check. It follows pointers to elements that may be
// absent from what a provider signs, which must not end the request.
func parse(sp *saml.ServiceProvider, text []byte, requestID string) (a *saml.Assertion, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			a, err = nil, fmt.Errorf("an element is missing: %v", cause)
		}
	}()
	return sp.ParseXMLResponse(text, []string{requestID}, sp.AcsURL)
}

// bearer is the one method of confirmation that the browser's profile has.
const bearer = "urn:oasis:names:tc:SAML:2.0:cm:bearer"

// strict are the rules of the browser's profile (Profiles, section 4.1.4.2) that
// the library leaves out where the elements are absent.
func strict(a *saml.Assertion, now time.Time) error {
	confirmed := func(c saml.SubjectConfirmation) bool {
		d := c.SubjectConfirmationData
		return c.Method == bearer && d != nil && d.Recipient != "" && !d.NotOnOrAfter.IsZero()
	}
	switch {
	case a.ID == "":
		return errors.New("the assertion has no id")
	case a.Subject == nil || !slices.ContainsFunc(a.Subject.SubjectConfirmations, confirmed):
		return errors.New("the subject is not confirmed for its bearer")
	case a.Conditions == nil || len(a.Conditions.AudienceRestrictions) == 0:
		return errors.New("the assertion is for any audience")
	case len(a.AuthnStatements) == 0:
		return errors.New("the assertion does not say that the subject signed in")
	case a.IssueInstant.After(now.Add(saml.MaxClockSkew)):
		return errors.New("the assertion is of the future")
	}
	return nil
}

// keyFor returns the key that the response needs. An encrypted assertion is
// opened here once already: what is inside must keep the bounds of a document
// before anything else reads it.
func (s Service) keyFor(r *Response) (*rsa.PrivateKey, error) {
	if !r.encrypted {
		return s.Key, nil
	}
	if !s.AllowEncrypted {
		return nil, fmt.Errorf("%w: encrypted assertions are not allowed", ErrInvalid)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(r.text); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	outer := child(doc.Root(), spaceAssertion, "EncryptedAssertion")
	if child(outer, spaceEncryption, "EncryptedData") == nil {
		return nil, fmt.Errorf("%w: no encrypted data", ErrInvalid)
	}
	var failed error
	for _, key := range []*rsa.PrivateKey{s.Key, s.Next} {
		if key == nil {
			continue
		}
		plain, err := open(outer, key)
		if err != nil {
			failed = err
			continue
		}
		n, err := scan(plain)
		if err != nil {
			return nil, fmt.Errorf("%w: encrypted: %w", ErrInvalid, err)
		}
		if n != (counts{assertions: 1}) {
			return nil, fmt.Errorf("%w: what is encrypted is not one assertion", ErrInvalid)
		}
		return key, nil
	}
	return nil, fmt.Errorf("%w: decrypt: %w", ErrInvalid, failed)
}

// child is the one that the library takes, by its full name; nil when there is none.
func child(of *etree.Element, space, tag string) *etree.Element {
	if of == nil {
		return nil
	}
	for _, el := range of.ChildElements() {
		if el.Tag == tag && el.NamespaceURI() == space {
			return el
		}
	}
	return nil
}

// open decrypts an EncryptedAssertion, whose symmetric key may be beside the data
// or in it. The library cuts what is encrypted into blocks without a look at its
// length, which must not end the request.
func open(outer *etree.Element, key *rsa.PrivateKey) (plain []byte, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			plain, err = nil, fmt.Errorf("saml: decrypt: %v", cause)
		}
	}()
	var with any = key
	if beside := outer.FindElement("./EncryptedKey"); beside != nil {
		if with, err = xmlenc.Decrypt(key, beside); err != nil {
			return nil, fmt.Errorf("saml: decrypt key: %w", err)
		}
	}
	plain, err = xmlenc.Decrypt(with, child(outer, spaceEncryption, "EncryptedData"))
	if err != nil {
		return nil, fmt.Errorf("saml: decrypt: %w", err)
	}
	return plain, nil
}
