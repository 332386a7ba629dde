package auth_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	"github.com/crewjam/saml/xmlenc"
)

// attacker alters a response that the company has signed for Mallory, to enter as Ann.
func TestSSOSignatureWrapping(t *testing.T) {
	t.Parallel()
	s := start(t, ssoConfig())
	c := addCompany(s, "acme.example", nil)
	forged := func(signed *etree.Element) *etree.Element {
		evil := signed.Copy()
		evil.CreateAttr("ID", "id-evil")
		if sig := evil.FindElement("./Signature"); sig != nil {
			evil.RemoveChild(sig)
		}
		evil.FindElement("./Subject/NameID").SetText("ann-1")
		for _, v := range evil.FindElements(".//AttributeValue") {
			v.SetText("ann@acme.example")
		}
		return evil
	}
	unsignedResponse := func(r *etree.Element) { r.RemoveChild(r.FindElement("./Signature")) }
	for name, alter := range map[string]func(r *etree.Element){
		"forged beside, first": func(r *etree.Element) {
			unsignedResponse(r)
			signed := r.FindElement("./Assertion")
			r.InsertChildAt(signed.Index(), forged(signed))
		},
		"forged beside, last": func(r *etree.Element) {
			unsignedResponse(r)
			r.AddChild(forged(r.FindElement("./Assertion")))
		},
		"forged instead, original in its signature": func(r *etree.Element) {
			unsignedResponse(r)
			signed := r.FindElement("./Assertion")
			evil := forged(signed)
			sig := signed.FindElement("./Signature").Copy()
			inner := signed.Copy()
			inner.RemoveChild(inner.FindElement("./Signature"))
			sig.CreateElement("ds:Object").AddChild(inner)
			evil.AddChild(sig)
			r.RemoveChild(signed)
			r.AddChild(evil)
		},
		"forged of the same id": func(r *etree.Element) {
			unsignedResponse(r)
			signed := r.FindElement("./Assertion")
			evil := forged(signed)
			evil.CreateAttr("ID", signed.SelectAttrValue("ID", ""))
			r.InsertChildAt(signed.Index(), evil)
		},
		"original wrapped in extensions": func(r *etree.Element) {
			unsignedResponse(r)
			signed := r.FindElement("./Assertion")
			evil := forged(signed)
			r.RemoveChild(signed)
			r.CreateElement("samlp:Extensions").AddChild(signed)
			r.AddChild(evil)
		},
		"response within a response": func(r *etree.Element) {
			inner := r.Copy()
			signed := r.FindElement("./Assertion")
			evil := forged(signed)
			unsignedResponse(r)
			r.RemoveChild(signed)
			r.CreateAttr("ID", "id-outer")
			r.AddChild(evil)
			r.CreateElement("samlp:Extensions").AddChild(inner)
		},
		"signed assertion changed": func(r *etree.Element) {
			unsignedResponse(r)
			r.FindElement("./Assertion/Subject/NameID").SetText("ann-1")
		},
		"signed response changed": func(r *etree.Element) { r.FindElement("./Assertion/Subject/NameID").SetText("ann-1") },
		"no signature": func(r *etree.Element) {
			unsignedResponse(r)
			a := r.FindElement("./Assertion")
			a.RemoveChild(a.FindElement("./Signature"))
			a.FindElement("./Subject/NameID").SetText("ann-1")
		},
		"empty signature": func(r *etree.Element) {
			unsignedResponse(r)
			r.FindElement("./Assertion/Signature/SignatureValue").SetText("")
		},
		"no assertion": func(r *etree.Element) { r.RemoveChild(r.FindElement("./Assertion")) },
	} {
		req := c.begin(nil)
		c.assert(req, person("mallory-1", "mallory@acme.example"), nil)
		t.Run(name, func(*testing.T) { c.answer(req, alter).turnedAway("validation_failed") })
	}
	equal(t, "users", s.count("SELECT count(*) FROM auth.users"), 0)
}

func TestSSOForeignSignature(t *testing.T) {
	t.Parallel()
	s := start(t, ssoConfig())
	c := addCompany(s, "acme.example", nil)
	addCompany(s, "other.example", nil)
	thief := &company{t: t, s: s, idp: newIdP(t, "acme.example", rsaKeys()[2])} // calls itself acme, with a key of its own
	thief.idp.ServiceProviderProvider = thief
	req := thief.begin(nil)
	thief.assert(req, person("ann-1", "ann@acme.example"), nil)
	thief.answer(req, nil).turnedAway("validation_failed")
	req = thief.unasked("")
	thief.assert(req, person("ann-1", "ann@acme.example"), nil)
	thief.answer(req, nil).turnedAway("validation_failed")

	// Another company's word for acme's people, to a request that went to acme.
	other := &company{t: t, s: s, idp: newIdP(t, "other.example", rsaKeys()[1])}
	other.idp.ServiceProviderProvider = other
	asked := c.begin(nil)
	req = other.unasked(asked.RelayState)
	req.Request.ID = asked.Request.ID
	other.assert(req, person("ann-1", "ann@acme.example"), nil)
	other.answer(req, nil).turnedAway("validation_failed")

	stranger := &company{t: t, s: s, idp: newIdP(t, "nobody.example", rsaKeys()[2])}
	req = stranger.unasked("")
	stranger.assert(req, person("ann-1", "ann@acme.example"), nil)
	stranger.answer(req, nil).turnedAway("saml_idp_not_found")
	equal(t, "users", s.count("SELECT count(*) FROM auth.users"), 0)
}

// What a company signs must be meant for this server, for now, and for the browser that brings it.
func TestSSOConditions(t *testing.T) {
	t.Parallel()
	s := start(t, ssoConfig())
	c := addCompany(s, "acme.example", nil)
	for name, change := range map[string]func(a *saml.Assertion){
		"another audience":      func(a *saml.Assertion) { a.Conditions.AudienceRestrictions[0].Audience.Value = "https://else.example/" },
		"any audience":          func(a *saml.Assertion) { a.Conditions.AudienceRestrictions = nil },
		"another recipient":     func(a *saml.Assertion) { confirmation(a).Recipient = "https://else.example/acs" },
		"no recipient":          func(a *saml.Assertion) { confirmation(a).Recipient = "" },
		"another request":       func(a *saml.Assertion) { confirmation(a).InResponseTo = "id-other" },
		"no request":            func(a *saml.Assertion) { confirmation(a).InResponseTo = "" },
		"confirmation expired":  func(a *saml.Assertion) { confirmation(a).NotOnOrAfter = time.Now().Add(-time.Hour) },
		"confirmation for ever": func(a *saml.Assertion) { confirmation(a).NotOnOrAfter = time.Time{} },
		"not for its bearer": func(a *saml.Assertion) {
			a.Subject.SubjectConfirmations[0].Method = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"
		},
		"unconfirmed":          func(a *saml.Assertion) { a.Subject.SubjectConfirmations = nil },
		"no confirmation data": func(a *saml.Assertion) { a.Subject.SubjectConfirmations[0].SubjectConfirmationData = nil },
		"expired":              func(a *saml.Assertion) { a.Conditions.NotOnOrAfter = time.Now().Add(-time.Hour) },
		"not yet":              func(a *saml.Assertion) { a.Conditions.NotBefore = time.Now().Add(time.Hour) },
		"old":                  func(a *saml.Assertion) { a.IssueInstant = time.Now().Add(-time.Hour) },
		"of the future":        func(a *saml.Assertion) { a.IssueInstant = time.Now().Add(time.Hour) },
		"another issuer":       func(a *saml.Assertion) { a.Issuer.Value = "https://else.example/metadata" },
		"no sign-in":           func(a *saml.Assertion) { a.AuthnStatements = nil },
		"no subject":           func(a *saml.Assertion) { a.Subject = nil },
		"no conditions":        func(a *saml.Assertion) { a.Conditions = nil },
		"no id":                func(a *saml.Assertion) { a.ID = "" },
	} {
		t.Run(name, func(t *testing.T) {
			req := c.begin(nil)
			c.assert(req, person("ann-1", "ann@acme.example"), change)
			c.answer(req, nil).turnedAway("validation_failed")
		})
	}
	req := c.begin(nil)
	c.assert(req, person("ann-1", "ann@acme.example"), nil)
	endpoint := *req.ACSEndpoint
	endpoint.Location = "https://else.example/acs"
	if err := req.MakeAssertionEl(); err != nil { // for the right recipient, but sent to another destination
		t.Fatal(err)
	}
	req.ACSEndpoint = &endpoint
	c.answer(req, nil).turnedAway("validation_failed")
	equal(t, "users", s.count("SELECT count(*) FROM auth.users"), 0)
}

func confirmation(a *saml.Assertion) *saml.SubjectConfirmationData {
	return a.Subject.SubjectConfirmations[0].SubjectConfirmationData
}

func TestSSOReplay(t *testing.T) {
	t.Parallel()
	s := start(t, ssoConfig())
	c := addCompany(s, "acme.example", nil)
	// An assertion of the company's own beginning, brought again and again, also at once.
	req := c.unasked("")
	c.assert(req, person("ann-1", "ann@acme.example"), nil)
	var wg sync.WaitGroup
	statuses := make(chan int, 6)
	if err := req.MakeResponse(); err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	doc.SetRoot(req.ResponseEl)
	document, err := doc.WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	for range cap(statuses) {
		wg.Go(func() { statuses <- s.bring(document, "").status })
	}
	wg.Wait()
	close(statuses)
	n := map[int]int{}
	for status := range statuses {
		n[status]++
	}
	equal(t, "answers", n, map[int]int{302: 1, 303: 5})
	s.bring(document, "").turnedAway("validation_failed")

	// A relay state comes back once, and not after its time.
	req = c.begin(nil)
	c.assert(req, person("ann-1", "ann@acme.example"), nil)
	c.answer(req, nil).signedIn("https://app.example.org/in")
	c.answer(req, nil).turnedAway("saml_relay_state_not_found")
	req = c.begin(nil)
	c.assert(req, person("ann-1", "ann@acme.example"), nil)
	s.f.Owner.Exec(t.Context(), "UPDATE auth.saml_relay_states SET created_at = now() - interval '2 minutes'")
	c.answer(req, nil).turnedAway("saml_relay_state_expired")
	c.answer(req, nil).turnedAway("saml_relay_state_not_found")

	// Without its relay state, the answer to a request is not one that the company began.
	req = c.begin(nil)
	c.assert(req, person("ann-1", "ann@acme.example"), nil)
	relay := req.RelayState
	req.RelayState = ""
	c.answer(req, nil).turnedAway("validation_failed")
	req.RelayState = relay
	c.answer(req, nil).signedIn("https://app.example.org/in")

	// Nor is one request's answer another's.
	first, second := c.begin(nil), c.begin(nil)
	c.assert(first, person("ann-1", "ann@acme.example"), nil)
	first.RelayState = second.RelayState
	c.answer(first, nil).turnedAway("validation_failed")
	equal(t, "sessions", s.count("SELECT count(*) FROM auth.sessions"), 3)
}

// A comment in a signed name is no part of it, for the signature and for us alike: the name is the whole text.
func TestSSOCommentInName(t *testing.T) {
	t.Parallel()
	s := start(t, ssoConfig())
	c := addCompany(s, "acme.example", nil)
	req := c.begin(nil)
	mail := string(saml.EmailAddressNameIDFormat)
	c.assert(req, &saml.Session{NameID: "ann@acme.example.evil.example", NameIDFormat: mail}, nil)
	a := c.answer(req, func(r *etree.Element) {
		name := r.FindElement("./Assertion/Subject/NameID")
		name.SetText("ann@acme.example")
		name.AddChild(etree.NewComment("x"))
		name.AddChild(etree.NewText(".evil.example"))
	})
	tokens := a.signedIn("https://app.example.org/in")
	user := s.call("GET", "/user", tokens.Get("access_token"), nil)
	equal(t, "subject", user.str("identities", "0", "id"), "ann@acme.example.evil.example")
	equal(t, "email", user.str("email"), "ann@acme.example.evil.example")
}

func TestSSOHostileXML(t *testing.T) {
	t.Parallel()
	s := start(t, ssoConfig())
	addCompany(s, "acme.example", nil)
	open := `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="r">`
	issuer, closed := `<saml:Issuer>https://acme.example/metadata</saml:Issuer>`, `</samlp:Response>`
	billion := `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>`
	for name, document := range map[string]string{
		"external entity":  `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + open + `<saml:Issuer>&e;</saml:Issuer>` + closed,
		"entity expansion": billion + open + `<saml:Issuer>&c;</saml:Issuer>` + closed,
		"document type":    `<!DOCTYPE x SYSTEM "https://evil.example/x.dtd">` + open + issuer + closed,
		"stylesheet":       `<?xml-stylesheet href="https://evil.example/x"?>` + open + issuer + closed,
		"deep":             open + issuer + strings.Repeat("<a>", 60_000) + strings.Repeat("</a>", 60_000) + closed,
		"many":             open + issuer + strings.Repeat("<a/>", 30_000) + closed,
		"another encoding": `<?xml version="1.0" encoding="UTF-16"?>` + open + issuer + closed,
		"not closed":       open + issuer,
		"two roots":        open + issuer + closed + open + issuer + closed,
		"same id twice":    open + issuer + `<x ID="r"/>` + closed,
		"another document": `<x/>`,
		"no XML":           "hello",
		"empty":            " ",
	} {
		t.Run(name, func(*testing.T) { s.bring(document, "").turnedAway("validation_failed") })
	}
	s.bring(open+issuer+closed, "nonsense").turnedAway("validation_failed")
	s.bring(open+closed, "").turnedAway("saml_idp_not_found")
	s.bring(open+issuer+closed, "00000000-0000-4000-8000-000000000001").turnedAway("saml_relay_state_not_found")
	form := func(v url.Values) answer {
		return s.call("POST", "/sso/saml/acs", "", v.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	}
	form(url.Values{}).turnedAway("validation_failed")
	form(url.Values{"SAMLResponse": {"%%%"}}).turnedAway("validation_failed")
	form(url.Values{"SAMLart": {"x"}}).turnedAway("validation_failed")
	form(url.Values{"SAMLResponse": {strings.Repeat("A", 2<<20)}}).want(http.StatusRequestEntityTooLarge, "request_entity_too_large")
	metadata := `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="x">`
	for _, text := range []string{
		billion + metadata + `</EntityDescriptor>`, metadata + strings.Repeat("<a>", 60_000), "x", "<EntityDescriptor/>", metadata + "</EntityDescriptor>", "<a>\xff</a>",
	} {
		s.call("POST", "/admin/sso/providers", s.service(), map[string]any{"type": "saml", "metadata_xml": text}).want(400, "validation_failed")
	}
}

// What is encrypted has the same bounds as what is not, and is refused where it is not allowed.
func TestSSOHostileEncryption(t *testing.T) {
	t.Parallel()
	cfg := ssoConfig()
	cfg.SAML.AllowEncrypted = true
	s := start(t, cfg)
	c := addCompany(s, "acme.example", nil)
	req := c.begin(nil)
	c.assert(req, person("ann-1", "ann@acme.example"), nil)
	cfg.SAML.AllowEncrypted = false
	plain := start(t, cfg)
	plain.call("POST", "/admin/sso/providers", plain.service(), map[string]any{"type": "saml", "metadata_xml": metadataXML(t, c.idp)}).want(201, "")
	if err := req.MakeResponse(); err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	doc.SetRoot(req.ResponseEl)
	var text bytes.Buffer
	if _, err := doc.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	plain.bring(text.String(), "").turnedAway("validation_failed")
	s.bring(strings.Replace(text.String(), "EncryptedData", "EncryptedNothing", 2), req.RelayState).turnedAway("validation_failed")
	req = c.begin(nil)
	c.assert(req, person("ann-1", "ann@acme.example"), nil)
	c.answer(req, func(r *etree.Element) {
		for _, v := range r.FindElements(".//CipherValue") {
			v.SetText(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 256)))
		}
	}).turnedAway("validation_failed")
	req = c.begin(nil) // what is encrypted is no whole number of blocks
	c.assert(req, person("ann-1", "ann@acme.example"), nil)
	c.answer(req, func(r *etree.Element) {
		r.FindElement(".//EncryptedData/CipherData/CipherValue").SetText(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 40)))
	}).turnedAway("validation_failed")
	for name, inside := range map[string]string{
		"deep":     strings.Repeat("<a>", 60_000) + strings.Repeat("</a>", 60_000),
		"two":      `<x><saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="a"/><saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="b"/></x>`,
		"entity":   `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="a">&e;</saml:Assertion>`,
		"unsigned": `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="a"/>`, "no XML": "hello",
	} {
		t.Run(name, func(t *testing.T) {
			req := c.begin(nil)
			c.assert(req, person("ann-1", "ann@acme.example"), nil)
			c.answer(req, func(r *etree.Element) {
				r.RemoveChild(r.FindElement("./Signature"))
				encryptor := xmlenc.OAEP()
				encryptor.BlockCipher, encryptor.DigestMethod = xmlenc.AES128CBC, &xmlenc.SHA1
				data, err := encryptor.Encrypt(serverCert(t, req), []byte(inside), nil)
				if err != nil {
					t.Fatal(err)
				}
				outer := r.FindElement("./EncryptedAssertion")
				outer.RemoveChild(outer.FindElement("./EncryptedData"))
				outer.AddChild(data)
			}).turnedAway("validation_failed")
		})
	}
	equal(t, "users", s.count("SELECT count(*) FROM auth.users"), 0)
}

// The bounds are those of what is read, and not of something beside it that only has its name.
func TestSSODecoyBesideTheEncrypted(t *testing.T) {
	t.Parallel()
	cfg := ssoConfig()
	cfg.SAML.AllowEncrypted = true
	s := start(t, cfg)
	c := addCompany(s, "acme.example", nil)
	req := c.begin(nil)
	c.assert(req, person("ann-1", "ann@acme.example"), nil)
	c.answer(req, func(r *etree.Element) {
		r.RemoveChild(r.FindElement("./Signature"))
		decoy := etree.NewElement("EncryptedAssertion")
		decoy.CreateAttr("xmlns", "urn:else")
		decoy.CreateElement("EncryptedData")
		r.InsertChildAt(0, decoy)
	}).signedIn("https://app.example.org/in")
}

// serverCert is the one for which anybody may encrypt.
func serverCert(t *testing.T, req *saml.IdpAuthnRequest) *x509.Certificate {
	t.Helper()
	for _, k := range req.SPSSODescriptor.KeyDescriptors {
		if k.Use == "encryption" {
			der, err := base64.StdEncoding.DecodeString(k.KeyInfo.X509Data.X509Certificates[0].Data)
			if err != nil {
				t.Fatal(err)
			}
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			return cert
		}
	}
	t.Fatal("the metadata has no key for encryption")
	return nil
}
