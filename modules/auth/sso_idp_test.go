package auth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/xml"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	"github.com/crewjam/saml/logger"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/platform/secret"
)

// rsaKeys are made once: they take their time.
var rsaKeys = sync.OnceValue(func() (keys [3]*rsa.PrivateKey) {
	for i := range keys {
		keys[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return keys
})

func samlKey(i int) secret.String {
	return secret.String(base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(rsaKeys()[i])))
}

func ssoConfig() auth.Config {
	cfg := config()
	cfg.SiteURL, cfg.URIAllowList = "https://app.example.com", []string{"https://app.example.org/**"}
	cfg.SAML = auth.SAMLConfig{Enabled: true, PrivateKey: samlKey(0), RelayStateValidity: 2 * time.Minute}
	return cfg
}

// company is an identity provider, crewjam/saml's.
type company struct {
	t   *testing.T
	s   *server
	idp *saml.IdentityProvider
	// id is the provider's at the server.
	id string
}

func newIdP(t *testing.T, name string, key *rsa.PrivateKey) *saml.IdentityProvider {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &saml.IdentityProvider{
		Key: key, Certificate: cert, Logger: logger.DefaultLogger, SignatureMethod: dsig.RSASHA256SignatureMethod,
		MetadataURL: url.URL{Scheme: "https", Host: name, Path: "/metadata"}, SSOURL: url.URL{Scheme: "https", Host: name, Path: "/sso"},
	}
}

func metadataXML(t *testing.T, idp *saml.IdentityProvider) string {
	t.Helper()
	text, err := xml.Marshal(idp.Metadata())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// addCompany registers an identity provider with the domain of its name.
func addCompany(s *server, name string, more map[string]any) *company {
	s.t.Helper()
	c := &company{t: s.t, s: s, idp: newIdP(s.t, name, rsaKeys()[1])}
	c.idp.ServiceProviderProvider = c
	body := map[string]any{"type": "saml", "metadata_xml": metadataXML(s.t, c.idp), "domains": []string{name}}
	for k, v := range more {
		body[k] = v
	}
	c.id = s.call("POST", "/admin/sso/providers", s.service(), body).want(201, "").str("id")
	return c
}

// GetServiceProvider is the server's metadata, as a company would fetch it.
func (c *company) GetServiceProvider(_ *http.Request, id string) (*saml.EntityDescriptor, error) {
	if want := "http://localhost:8000/auth/v1/sso/saml/metadata"; id != want {
		c.t.Errorf("the request is of %q", id)
	}
	a := c.s.call("GET", "/sso/saml/metadata", "", nil).want(200, "")
	m := &saml.EntityDescriptor{}
	return m, xml.Unmarshal([]byte(a.text), m)
}

// begin starts a sign-in at the server, and returns the request as the company gets it.
func (c *company) begin(more map[string]any) *saml.IdpAuthnRequest {
	c.t.Helper()
	body := map[string]any{"domain": c.idp.MetadataURL.Host, "redirect_to": "https://app.example.org/in", "skip_http_redirect": true}
	for k, v := range more {
		body[k] = v
	}
	address := c.s.call("POST", "/sso", "", body).want(200, "").str("url")
	req, err := saml.NewIdpAuthnRequest(c.idp, httptest.NewRequest(http.MethodGet, address, nil))
	if err != nil {
		c.t.Fatal(err)
	}
	if err := req.Validate(); err != nil {
		c.t.Fatal(err)
	}
	return req
}

// unasked is a sign-in that the company begins.
func (c *company) unasked(relayState string) *saml.IdpAuthnRequest {
	c.t.Helper()
	metadata, err := c.GetServiceProvider(nil, "http://localhost:8000/auth/v1/sso/saml/metadata")
	if err != nil {
		c.t.Fatal(err)
	}
	role := &metadata.SPSSODescriptors[0]
	return &saml.IdpAuthnRequest{
		IDP: c.idp, HTTPRequest: httptest.NewRequest(http.MethodGet, "/", nil), RelayState: relayState, Now: time.Now(),
		ServiceProviderMetadata: metadata, SPSSODescriptor: role, ACSEndpoint: &role.AssertionConsumerServices[0],
	}
}

// person is how the company knows somebody.
func person(name, email string) *saml.Session {
	return &saml.Session{
		ID: "session", CreateTime: time.Now(), ExpireTime: time.Now().Add(8 * time.Hour), NameID: name, NameIDFormat: string(saml.PersistentNameIDFormat),
		UserEmail: email, UserCommonName: "Ann Other", UserGivenName: "Ann", Groups: []string{"staff", "admins"},
	}
}

// assert makes the assertion, which change may alter before it is signed.
func (c *company) assert(req *saml.IdpAuthnRequest, who *saml.Session, change func(*saml.Assertion)) {
	c.t.Helper()
	if err := (saml.DefaultAssertionMaker{}).MakeAssertion(req, who); err != nil {
		c.t.Fatal(err)
	}
	if change != nil {
		change(req.Assertion)
	}
}

// answer brings the company's signed response to the server; alter may be nil.
func (c *company) answer(req *saml.IdpAuthnRequest, alter func(*etree.Element)) answer {
	c.t.Helper()
	if err := req.MakeResponse(); err != nil {
		c.t.Fatal(err)
	}
	if alter != nil {
		alter(req.ResponseEl)
	}
	doc := etree.NewDocument()
	doc.SetRoot(req.ResponseEl)
	text, err := doc.WriteToString()
	if err != nil {
		c.t.Fatal(err)
	}
	return c.s.bring(text, req.RelayState)
}

// bring posts a response as a browser does.
func (s *server) bring(document, relayState string) answer {
	s.t.Helper()
	form := url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString([]byte(document))}}
	if relayState != "" {
		form.Set("RelayState", relayState)
	}
	return s.call("POST", "/sso/saml/acs", "", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// location is where a browser is sent, with what is in its query and fragment.
func (a answer) location() (to *url.URL, query, fragment url.Values) {
	a.t.Helper()
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		a.t.Fatal(err)
	}
	if fragment, err = url.ParseQuery(to.EscapedFragment()); err != nil {
		a.t.Fatal(err)
	}
	return to, to.Query(), fragment
}

// signedIn checks that the browser was sent on with tokens, and returns them.
func (a answer) signedIn(address string) url.Values {
	a.t.Helper()
	to, _, fragment := a.location()
	if to.Fragment = ""; a.status != 302 || to.String() != address || fragment.Get("access_token") == "" {
		a.t.Fatalf("got %d to %s: %s", a.status, a.header.Get("Location"), a.text)
	}
	return fragment
}

// turnedAway checks that the browser was sent to the site with an error.
func (a answer) turnedAway(code string) {
	a.t.Helper()
	to, query, _ := a.location()
	if a.status != 303 || to.Host != "app.example.com" || query.Get("error_code") != code || query.Get("error_description") == "" || query.Get("error") == "" {
		a.t.Errorf("got %d to %s: %s", a.status, a.header.Get("Location"), a.text)
	}
}
