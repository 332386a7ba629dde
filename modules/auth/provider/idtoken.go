package provider

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

// The issuers of ID tokens whose claims have a form of their own.
const (
	issuerApple      = "https://appleid.apple.com"
	issuerAppleOther = "https://account.apple.com"
	issuerFacebook   = "https://www.facebook.com"
	issuerGoogle     = "https://accounts.google.com"
	issuerKakao      = "https://kauth.kakao.com"
	issuerLinkedIn   = "https://www.linkedin.com/oauth"
	issuerSnapchat   = "https://accounts.snapchat.com/accounts/oauth2/token"
	issuerVercel     = "https://marketplace.vercel.com"
)

func isApple(issuer string) bool { return issuer == issuerApple || issuer == issuerAppleOther }

var (
	azureIssuer = regexp.MustCompile(`^https://login[.]microsoftonline[.]com/[A-Za-z0-9._-]+/v2[.]0/?$`)
	azureCIAM   = regexp.MustCompile(`^https://[a-z0-9-]+[.]ciamlogin[.]com/[A-Za-z0-9._-]+/v2[.]0/?$`)
	// azureAny are the issuers of ID tokens that apps bring themselves, older ones among them.
	azureAny = regexp.MustCompile(`^https://(login[.]microsoftonline[.]com|sts[.]windows[.]net)/[A-Za-z0-9._-]+(/v2[.]0)?/?$`)
)

// azureTenant has the id of a tenant, as it is in issuers.
var azureTenant = regexp.MustCompile(`^https://(?:login[.]microsoftonline[.]com|sts[.]windows[.]net)/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/v2[.]0)?/?$`)

// sameTenant reports whether the issuer is the tenant that the setting names by its id, if it does.
func sameTenant(setting, issuer string) bool {
	want, got := azureTenant.FindStringSubmatch(strings.ToLower(setting)), azureTenant.FindStringSubmatch(issuer)
	return want == nil || got != nil && got[1] == want[1]
}

// ErrIDToken says that an ID token proves nothing: its signature, issuer, time or
// the hash of the access token beside it is wrong.
var ErrIDToken = errors.New("provider: ID token")

// IDToken is what a verified ID token says.
type IDToken struct {
	Identity Identity
	Audience []string
	Nonce    string
	raw      *oidc.IDToken
}

// Verify checks an ID token of an issuer, at whose discovery address it may ask
// for its keys; an empty address is the usual one. When accessToken is not empty,
// and the ID token says which one belongs to it, it must be that. The audience is
// the caller's to check.
func (s *Services) Verify(ctx context.Context, issuer, discovery, text, accessToken string) (*IDToken, error) {
	from, err := s.issuers.get(ctx, issuer, discovery)
	if err != nil {
		return nil, err
	}
	token, err := from.Verifier(&oidc.Config{SkipClientIDCheck: true}).Verify(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIDToken, err)
	}
	if accessToken != "" && token.AccessTokenHash != "" {
		if err := token.VerifyAccessToken(accessToken); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrIDToken, err)
		}
	}
	who, err := identify(token)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIDToken, err)
	}
	return &IDToken{Identity: who, Audience: token.Audience, Nonce: token.Nonce, raw: token}, nil
}

// Issuer is what an ID token says of who made it, before anything is verified.
func Issuer(text string) (string, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return "", fmt.Errorf("%w: not three parts", ErrIDToken)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrIDToken, err)
	}
	var c struct {
		Issuer string `json:"iss"`
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return "", fmt.Errorf("%w: %w", ErrIDToken, err)
	}
	return c.Issuer, nil
}

// tokenClaims are the claims of ID tokens that some issuer needs beside the usual ones.
type tokenClaims struct {
	Claims
	HostedDomain string `json:"hd"`
	VerifiedToo  Flag   `json:"verified_email"`
	Private      *Flag  `json:"is_private_email"`
	AuthTime     *int64 `json:"auth_time"`
	TransferSub  string `json:"transfer_sub"`
	GlobalUserID string `json:"global_user_id"`
	UserEmail    string `json:"user_email"`
	UserTitle    string `json:"user_name"`
	UserAvatar   string `json:"user_avatar_url"`
	DomainOwner  any    `json:"xms_edov"`
}

// identify reads a verified token's person by its issuer's habits.
func identify(token *oidc.IDToken) (Identity, error) {
	var c tokenClaims
	var wrongType *json.UnmarshalTypeError
	if err := token.Claims(&c); err != nil && !errors.As(err, &wrongType) { // a claim of another type is as if it were not there
		return Identity{}, err
	}
	c.Issuer, c.Subject = token.Issuer, token.Subject
	switch {
	case strings.TrimPrefix(token.Issuer, "https://") == "accounts.google.com": // Google leaves the scheme out in old tokens
		return c.google(), nil
	case isApple(token.Issuer):
		return c.apple(), nil
	case azureIssuer.MatchString(token.Issuer):
		return c.azure(token)
	case token.Issuer == issuerFacebook:
		return Identity{Emails: one(c.Email, true), Claims: Claims{
			Issuer: token.Issuer, Subject: token.Subject, Name: c.Name, Picture: c.Picture, ProviderID: token.Subject,
		}}, nil
	case token.Issuer == issuerKakao:
		return Identity{Emails: one(c.Email, true), Claims: Claims{
			Issuer: token.Issuer, Subject: token.Subject, Name: c.Nickname, PreferredUsername: c.Nickname, Picture: c.Picture, ProviderID: token.Subject,
		}}, nil
	case token.Issuer == issuerLinkedIn:
		return Identity{Emails: one(c.Email, bool(c.EmailVerified)), Claims: Claims{
			Issuer: token.Issuer, Subject: token.Subject, Name: full(c.GivenName, c.FamilyName), GivenName: c.GivenName, FamilyName: c.FamilyName,
			Locale: c.Locale, Picture: c.Picture, ProviderID: token.Subject,
		}}, nil
	case token.Issuer == issuerSnapchat:
		return Identity{Emails: one(c.Email, true), Claims: c.Claims}, nil
	case token.Issuer == issuerVercel:
		return c.vercel(), nil
	}
	return Identity{Emails: one(c.Email, bool(c.EmailVerified)), Claims: c.Claims}, nil
}

func (c *tokenClaims) google() Identity {
	claims := Claims{Issuer: issuerGoogle, Subject: c.Subject, Name: c.Name, Picture: c.Picture}.legacy()
	if c.HostedDomain != "" {
		claims.Custom = map[string]any{"hd": c.HostedDomain}
	}
	return Identity{Emails: one(c.Email, bool(c.EmailVerified || c.VerifiedToo)), Claims: claims}
}

func (c *tokenClaims) apple() Identity {
	claims := Claims{Issuer: c.Issuer, Subject: c.Subject, ProviderID: c.Subject, Custom: map[string]any{}}
	if c.Private != nil {
		claims.Custom["is_private_email"] = bool(*c.Private)
	}
	if c.AuthTime != nil {
		claims.Custom["auth_time"] = *c.AuthTime
	}
	if c.TransferSub != "" {
		claims.Custom["transfer_sub"] = c.TransferSub
	}
	return Identity{Emails: one(c.Email, true), Claims: claims}
}

func (c *tokenClaims) vercel() Identity {
	id := c.Subject
	if c.GlobalUserID != "" {
		id = "global_user_id:" + c.GlobalUserID
	}
	return Identity{Emails: one(c.UserEmail, true), Claims: Claims{
		Issuer: c.Issuer, Subject: id, ProviderID: id, Name: c.UserTitle, Picture: c.UserAvatar,
	}}
}

// notAzure are the claims of Azure's tokens that are not kept as custom ones.
var notAzure = []string{
	"aud", "iss", "iat", "nbf", "exp", "c_hash", "at_hash", "aio", "nonce", "rh", "uti", "jti", "ver", "sub", "name", "preferred_username",
}

func (c *tokenClaims) azure(token *oidc.IDToken) (Identity, error) {
	custom := map[string]any{}
	if err := token.Claims(&custom); err != nil {
		return Identity{}, err
	}
	for _, name := range notAzure {
		delete(custom, name)
	}
	// Whether the owner of the address's domain vouches for it. Without the claim,
	// which an app has to ask for, Azure tells addresses of its own tenants only.
	verified := c.DomainOwner == nil
	switch v := c.DomainOwner.(type) {
	case bool:
		verified = v
	case string:
		verified = v == "1" || v == "true"
	case float64:
		verified = v == 1
	}
	return Identity{Emails: one(c.Email, verified), Claims: Claims{
		Issuer: c.Issuer, Subject: c.Subject, ProviderID: c.Subject, PreferredUsername: c.PreferredUsername, FullName: c.Name, Custom: custom,
	}}, nil
}

// idToken verifies the ID token that came with the access token.
func (r *reading) idToken(ctx context.Context, issuer string) (Identity, error) {
	text, _ := r.token.Extra("id_token").(string)
	if text == "" {
		return Identity{}, errors.New("no OIDC ID token present in response")
	}
	token, err := (&Services{client: r.http, issuers: r.issuers}).Verify(ctx, issuer, "", text, r.token.AccessToken)
	if err != nil {
		return Identity{}, err
	}
	if !token.For(r.oauth.ClientID) {
		return Identity{}, fmt.Errorf("%w: not for this app", ErrIDToken)
	}
	return token.Identity, nil
}

// For reports whether the token is for one of the apps.
func (t *IDToken) For(clients ...string) bool {
	for _, c := range clients {
		for _, a := range t.Audience {
			if c != "" && a == c {
				return true
			}
		}
	}
	return false
}

func readIDToken(issuer string) func(context.Context, *reading) (Identity, error) {
	return func(ctx context.Context, r *reading) (Identity, error) { return r.idToken(ctx, issuer) }
}
