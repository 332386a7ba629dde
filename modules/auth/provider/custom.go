package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/oauth2"
)

// Custom is a service that an administrator has described: plain OAuth 2 with an
// address where the person's claims are, or OpenID Connect when Issuer is set.
type Custom struct {
	// Name is the service's, as "custom:acme".
	Name, ClientID, ClientSecret, RedirectURI string
	// Clients are further ids that ID tokens may be for.
	Clients, Scopes []string
	PKCE            bool
	// Params are added to the authorization request.
	Params map[string]string
	// Mapping gives claims other claims' values, or fixed ones; Kept are the names
	// of claims that become custom ones.
	Mapping map[string]any
	Kept    []string

	Issuer, DiscoveryURL                    string
	AuthorizationURL, TokenURL, UserinfoURL string
}

// Protected are claims that no mapping may set: they say who a person is to
// madbase, what they may do, or what a service has verified.
var Protected = []string{
	"id", "aud", "role", "app_metadata", "created_at", "updated_at", "confirmed_at", "email_confirmed_at", "phone_confirmed_at",
	"email_verified", "phone_verified", "banned_until", "is_super_admin",
}

// custom is such a service as it is set up.
type custom struct {
	Custom
	services *Services
	oauth    oauth2.Config
	userinfo string
}

// Custom returns a described service; an OpenID one is asked for its endpoints.
func (s *Services) Custom(ctx context.Context, c Custom) (Provider, error) {
	p := &custom{Custom: c, services: s, userinfo: c.UserinfoURL, oauth: oauth2.Config{
		ClientID: c.ClientID, ClientSecret: c.ClientSecret, RedirectURL: c.RedirectURI, Scopes: c.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: c.AuthorizationURL, TokenURL: c.TokenURL},
	}}
	if c.Issuer == "" {
		return p, nil
	}
	issuer, err := s.issuers.get(ctx, c.Issuer, c.DiscoveryURL)
	if err != nil {
		return nil, err
	}
	p.oauth.Endpoint, p.userinfo = issuer.Endpoint(), issuer.UserInfoEndpoint()
	if !slices.Contains(p.oauth.Scopes, "openid") {
		p.oauth.Scopes = append([]string{"openid"}, p.oauth.Scopes...)
	}
	return p, nil
}

// Start returns the service's address with the request for authorization.
func (p *custom) Start(_ context.Context, a Authorization) (string, string, error) {
	params := map[string]string{}
	for name, value := range p.Params {
		if !slices.Contains(Reserved, name) {
			params[name] = value
		}
	}
	return start(&p.oauth, params, p.PKCE, a)
}

// Finish exchanges the code and reads the ID token, or else asks for the claims.
func (p *custom) Finish(ctx context.Context, cb Callback) (*Grant, error) {
	if p.PKCE && cb.Kept == "" {
		return nil, fmt.Errorf("%w: the verifier is missing", ErrExchange)
	}
	token, err := exchange(ctx, &p.oauth, p.services.client, cb)
	if err != nil {
		return nil, err
	}
	var who Identity
	if text, _ := token.Extra("id_token").(string); text != "" && p.Issuer != "" {
		who, err = p.fromIDToken(ctx, text, token)
	} else {
		who, err = p.fromUserinfo(ctx, token)
	}
	if err != nil {
		return nil, fmt.Errorf("provider: %s: %w", p.Name, err)
	}
	return finished(p.Name, who, token)
}

func (p *custom) fromIDToken(ctx context.Context, text string, access *oauth2.Token) (Identity, error) {
	token, err := p.services.Verify(ctx, p.Issuer, p.DiscoveryURL, text, "")
	if err != nil {
		return Identity{}, err
	}
	if !token.For(append([]string{p.ClientID}, p.Clients...)...) {
		return Identity{}, fmt.Errorf("%w: not for this app", ErrIDToken)
	}
	var body json.RawMessage
	if err := token.raw.Claims(&body); err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrIDToken, err)
	}
	raw, err := members(body)
	if err != nil {
		return Identity{}, err
	}
	who := token.Identity
	if len(who.Emails) == 0 && p.userinfo != "" {
		if who, err = p.complete(ctx, who, raw, access); err != nil {
			return Identity{}, err
		}
	}
	who.Claims, err = p.shape(who.Claims, raw)
	return who, err
}

// complete adds to what an ID token says what the service tells besides: many put
// no address into a token that comes with an access token (OpenID Connect Core,
// section 5.4). It must be about the same person (section 5.3.2).
func (p *custom) complete(ctx context.Context, who Identity, raw map[string]any, access *oauth2.Token) (Identity, error) {
	c, more, err := p.ask(ctx, access)
	if err != nil {
		return who, err
	}
	if c.Subject != who.Claims.Subject {
		return who, fmt.Errorf("%w: the service tells of another person", ErrIDToken)
	}
	c.Issuer, c.Audience, c.IssuedAt, c.Expires = who.Claims.Issuer, who.Claims.Audience, who.Claims.IssuedAt, who.Claims.Expires
	for name, value := range more {
		if _, found := raw[name]; !found {
			raw[name] = value
		}
	}
	return Identity{Emails: one(c.Email, bool(c.EmailVerified)), Claims: c}, nil
}

func (p *custom) fromUserinfo(ctx context.Context, token *oauth2.Token) (Identity, error) {
	if p.userinfo == "" {
		return Identity{}, errors.New("no ID token or userinfo endpoint available")
	}
	c, raw, err := p.ask(ctx, token)
	if err != nil {
		return Identity{}, err
	}
	if c, err = p.shape(c, raw); err != nil {
		return Identity{}, err
	}
	return Identity{Emails: one(c.Email, bool(c.EmailVerified)), Claims: c}, nil
}

// ask gets the person's claims, as far as they are known here and as they came.
func (p *custom) ask(ctx context.Context, token *oauth2.Token) (c Claims, raw map[string]any, err error) {
	var body json.RawMessage
	if err := getJSON(ctx, p.services.client, p.userinfo, &body, "Authorization", token.Type()+" "+token.AccessToken); err != nil {
		return c, nil, err
	}
	if raw, err = members(body); err != nil {
		return c, nil, err
	}
	var wrongType *json.UnmarshalTypeError
	if err := json.Unmarshal(body, &c); err != nil && !errors.As(err, &wrongType) {
		return c, nil, fmt.Errorf("userinfo: %w", err)
	}
	return c, raw, nil
}

// members are the claims as they came, numbers to the last digit.
func members(body []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var raw map[string]any
	if err := d.Decode(&raw); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	return raw, nil
}

// shape keeps the claims that are asked for and applies the mapping.
func (p *custom) shape(c Claims, raw map[string]any) (Claims, error) {
	for _, name := range p.Kept {
		if value, ok := raw[name]; ok {
			if c.Custom == nil {
				c.Custom = map[string]any{}
			}
			c.Custom[name] = value
		}
	}
	if len(p.Mapping) == 0 {
		return c, nil
	}
	data, err := c.Data()
	if err != nil {
		return c, err
	}
	for target, source := range p.Mapping {
		if slices.Contains(Protected, target) {
			continue
		}
		if name, ok := source.(string); ok {
			value, found := data[name]
			if !found {
				value, found = raw[name]
			}
			if !found {
				continue
			}
			source = value
		}
		if n, ok := source.(json.Number); ok && target == "sub" { // many a service's id is a number
			source = n.String()
		}
		data[target] = source
	}
	text, err := json.Marshal(data)
	if err != nil {
		return c, fmt.Errorf("mapping: %w", err)
	}
	var mapped Claims
	if err := json.Unmarshal(text, &mapped); err != nil {
		return c, nil //nolint:nilerr // as with GoTrue: a mapping that does not fit maps nothing
	}
	return mapped, nil
}
