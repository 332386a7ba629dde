package saml

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// minKey is the length in bits below which a key is refused.
const minKey = 2048

// ParseKey reads an RSA key as GoTrue's settings have it: PKCS #1 DER in base64.
// Its errors never show the key.
func ParseKey(text string) (*rsa.PrivateKey, error) {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("is not base64")
	}
	key, err := x509.ParsePKCS1PrivateKey(der)
	switch {
	case err != nil:
		return nil, errors.New("is not an RSA key in PKCS #1 DER")
	case key.E != 65537:
		return nil, errors.New("must have the public exponent 65537")
	case key.N.BitLen() < minKey:
		return nil, fmt.Errorf("must be at least %d bits long", minKey)
	}
	return key, nil
}

// certificate carries the key's public half to identity providers, which read
// nothing else of it. It is a function of its parameters alone and made as
// GoTrue makes it, so that providers which know a GoTrue with the same key and
// host need not be told of another one.
func certificate(key *rsa.PrivateKey, host string, encryption bool) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0), DNSNames: []string{"_samlsp." + host}, Subject: pkix.Name{CommonName: "SAML 2.0 Certificate for " + host},
		KeyUsage: x509.KeyUsageDigitalSignature, NotBefore: time.UnixMilli(0).UTC(), NotAfter: time.UnixMilli(0).UTC().AddDate(200, 0, 0),
	}
	if encryption {
		template.KeyUsage |= x509.KeyUsageDataEncipherment
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("saml: certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("saml: certificate: %w", err)
	}
	return cert, nil
}
