package saml

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/crewjam/saml"
)

const metadataHead = `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://acme.example/" `

const role = `<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://acme.example/sso"/></IDPSSODescriptor>`

func TestParseMetadata(t *testing.T) {
	for text, want := range map[string]string{
		metadataHead + ">" + role + "</EntityDescriptor>":                                      "",
		metadataHead + ">" + role + role + "</EntityDescriptor>":                               "SAML Metadata contains multiple IDPSSODescriptors",
		metadataHead + "></EntityDescriptor>":                                                  "SAML Metadata does not contain any IDPSSODescriptor",
		strings.Replace(metadataHead, "entityID", "x", 1) + ">" + role + "</EntityDescriptor>": "SAML Metadata does not contain an EntityID",
		"<EntitiesDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\">" + metadataHead + "></EntityDescriptor>" + metadataHead + ">" + role + "</EntityDescriptor></EntitiesDescriptor>": "",
		"<EntitiesDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\"/>": "SAML Metadata is not valid",
		"<x/>":                             "SAML Metadata is not valid",
		"":                                 "SAML Metadata is not valid",
		"<a>":                              "SAML Metadata is not valid XML",
		"\xff":                             "SAML Metadata XML contains invalid UTF-8 characters, which are not supported at this time",
		strings.Repeat(" ", MaxMetadata+1): "SAML Metadata XML is too long",
	} {
		idp, err := ParseMetadata([]byte(text))
		if want == "" && (err != nil || idp.EntityID() != "https://acme.example/") || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%.80q: got %v, want %q", text, err, want)
		}
	}
}

func TestStale(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for attributes, ages := range map[string]map[time.Duration]bool{
		"":                                  {23 * time.Hour: false, 25 * time.Hour: true},
		`cacheDuration="PT1H"`:              {59 * time.Minute: false, 61 * time.Minute: true},
		`validUntil="2026-11-23T11:59:59Z"`: {time.Minute: true},
		`validUntil="2026-11-23T12:00:01Z"`: {time.Minute: false, 100 * time.Hour: false},
		`validUntil="2026-11-23T12:00:01Z" cacheDuration="PT1H"`: {time.Minute: false, 2 * time.Hour: true},
	} {
		idp, err := ParseMetadata([]byte(metadataHead + attributes + ">" + role + "</EntityDescriptor>"))
		if err != nil {
			t.Fatal(err)
		}
		for age, want := range ages {
			if got := idp.Stale(now.Add(-age), now); got != want {
				t.Errorf("%s after %s: %v", attributes, age, got)
			}
		}
	}
}

func TestParseKey(t *testing.T) {
	encode := func(bits int) string {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(key))
	}
	good := encode(2048)
	key, err := ParseKey(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "?", "AAAA", encode(1024), good[:100]} {
		if _, err := ParseKey(text); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%.20s: %v", text, err)
		}
	}
	// Identity providers keep the certificate: the same key and host must always give the same one.
	first, err := certificate(key, "auth.example.com", false)
	if err != nil {
		t.Fatal(err)
	}
	second, err := certificate(key, "auth.example.com", false)
	if err != nil || !first.Equal(second) {
		t.Errorf("the certificate changes (%v)", err)
	}
}

func TestRequestNeedsAnAddress(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s := Service{Key: key, URL: "https://api.example.com/auth/v1", Host: "api.example.com"}
	for location, fine := range map[string]bool{"https://acme.example/sso?x=1": true, "javascript:alert(1)": false, "": false, "/sso": false} {
		idp, err := ParseMetadata([]byte(metadataHead + ">" + strings.Replace(role, "https://acme.example/sso", location, 1) + "</EntityDescriptor>"))
		if err != nil && !fine { // the library refuses some already when it reads them
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		id, address, err := s.Request(idp, "", "relay")
		if fine != (err == nil) || !fine && !errors.Is(err, ErrNoRedirect) || fine && (id == "" || !strings.HasPrefix(address, location+"&SAMLRequest=")) {
			t.Errorf("%s: %s %v", location, address, err)
		}
	}
}

func TestClaims(t *testing.T) {
	a := &Assertion{&saml.Assertion{AttributeStatements: []saml.AttributeStatement{{Attributes: []saml.Attribute{
		{Name: "urn:cn", FriendlyName: "CN", Values: []saml.AttributeValue{{Value: "Ann"}, {Value: "Anna"}}},
		{Name: "empty", Values: []saml.AttributeValue{{Value: ""}}},
	}}}}}
	got := a.Claims(Mapping{Keys: map[string]Attribute{
		"one": {Name: "cn"}, "all": {Names: []string{"nothing", "urn:CN"}, Array: true}, "default": {Name: "empty", Default: 7.0}, "none": {Name: "nothing"},
	}})
	if len(got) != 3 || got["one"] != "Ann" || len(got["all"].([]string)) != 2 || got["default"] != 7.0 {
		t.Errorf("got %v", got)
	}
	if a.UserID() != "" || a.Email() != "" || !a.SessionEnd().IsZero() {
		t.Error("an assertion without a subject has one")
	}
}

func FuzzReadResponse(f *testing.F) {
	f.Add([]byte(`<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="r" InResponseTo="q"><saml:Issuer>https://acme.example/</saml:Issuer><saml:Assertion ID="a"><saml:Issuer>x</saml:Issuer></saml:Assertion></samlp:Response>`))
	f.Add([]byte(`<!DOCTYPE x [<!ENTITY e "v">]><x>&e;</x>`))
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	s := Service{Key: key, AllowEncrypted: true, URL: "https://api.example.com/auth/v1", Host: "api.example.com"}
	idp, err := ParseMetadata([]byte(metadataHead + ">" + role + "</EntityDescriptor>"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _ = ParseMetadata(text)
		r, err := ReadResponse(text)
		if err != nil {
			return
		}
		if _, err := s.Check(r, idp, ""); !errors.Is(err, ErrInvalid) {
			t.Errorf("unsigned %q: %v", text, err)
		}
	})
}
