package provider

import (
	"errors"
	"fmt"
)

// Direct is a service whose ID tokens an app may bring itself, having got them
// from the service's own library.
type Direct struct{ Name, Issuer string }

// Why no service is found.
var (
	ErrUnknownIssuer = errors.New("provider: no service of that name or issuer")
	ErrNoIssuer      = errors.New("unable to detect issuer in ID token")
	ErrForeignIssuer = errors.New("detected ID token issuer is not one of the provider's")
	ErrOtherIssuer   = errors.New("provided issuer does not match ID token issuer")
)

// FindDirect returns the service that is asked for by name or by issuer. Apple and
// Azure have several issuers: which one it is, the ID token says. keycloak is the
// address of the realm, if there is one; azure that of the tenant, whose ID tokens
// alone are taken when it names one by its id.
func FindDirect(name, issuer, text, keycloak, azure string) (Direct, error) {
	switch {
	case name == "apple" || isApple(issuer):
		return detect("apple", issuer, text, isApple)
	case name == "google" || issuer == issuerGoogle:
		return Direct{"google", issuerGoogle}, nil
	case name == "azure" || azureIssuer.MatchString(issuer):
		return detect("azure", issuer, text, func(issuer string) bool { return azureAny.MatchString(issuer) && sameTenant(azure, issuer) })
	case name == "facebook" || issuer == issuerFacebook:
		return Direct{"facebook", issuerFacebook}, nil
	case name == "keycloak" || keycloak != "" && issuer == keycloak:
		return Direct{"keycloak", keycloak}, nil
	case name == "kakao" || issuer == issuerKakao:
		return Direct{"kakao", issuerKakao}, nil
	case name == "vercel_marketplace" || issuer == issuerVercel:
		return Direct{"vercel_marketplace", issuerVercel}, nil
	case name == "snapchat" || issuer == issuerSnapchat:
		return Direct{"snapchat", issuerSnapchat}, nil
	}
	return Direct{}, ErrUnknownIssuer
}

func detect(name, asked, text string, may func(string) bool) (Direct, error) {
	issuer, err := Issuer(text)
	switch {
	case err != nil:
		return Direct{Name: name}, fmt.Errorf("%w: %w", ErrNoIssuer, err)
	case !may(issuer):
		return Direct{Name: name}, ErrForeignIssuer
	case asked != "" && asked != issuer:
		return Direct{Name: name}, ErrOtherIssuer
	}
	return Direct{name, issuer}, nil
}
