package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
)

// Accounts that other services stand on: Google, Apple, Azure, Keycloak.

// readGoogle asks for the profile where no ID token came with the access token.
func readGoogle(ctx context.Context, r *reading) (Identity, error) {
	if r.token.Extra("id_token") != nil {
		return r.idToken(ctx, issuerGoogle)
	}
	const profile = "https://www.googleapis.com/userinfo/v2/me"
	var u struct {
		ID            string `json:"id"`
		Name          string `json:"name"`
		Picture       string `json:"picture"`
		Email         string `json:"email"`
		VerifiedEmail bool   `json:"verified_email"`
		EmailVerified bool   `json:"email_verified"`
	}
	if err := r.get(ctx, profile, &u); err != nil {
		return Identity{}, err
	}
	return Identity{
		Emails: one(u.Email, u.VerifiedEmail || u.EmailVerified),
		Claims: Claims{Issuer: profile, Subject: u.ID, Name: u.Name, Picture: u.Picture}.legacy(),
	}, nil
}

// readApple takes the name from what Apple sends beside the first code.
func readApple(ctx context.Context, r *reading) (Identity, error) {
	text, _ := r.token.Extra("id_token").(string)
	issuer, err := Issuer(text)
	if err != nil {
		return Identity{}, err
	}
	if !isApple(issuer) {
		return Identity{}, fmt.Errorf("%w: not Apple's", ErrIDToken)
	}
	who, err := r.idToken(ctx, issuer)
	if err != nil || r.user == "" {
		return who, err
	}
	var u struct {
		Name struct {
			First string `json:"firstName"`
			Last  string `json:"lastName"`
		} `json:"name"`
	}
	if err := json.Unmarshal([]byte(r.user), &u); err != nil {
		return Identity{}, fmt.Errorf("user: %w", err)
	}
	who.Claims.Name = full(u.Name.First, u.Name.Last)
	who.Claims.FullName = who.Claims.Name
	return who, nil
}

// readAzure takes ID tokens of any tenant, unless the setting names one.
func readAzure(ctx context.Context, r *reading) (Identity, error) {
	text, _ := r.token.Extra("id_token").(string)
	if text == "" {
		return Identity{}, errors.New("no OIDC ID token present in response")
	}
	issuer, err := Issuer(text)
	if err != nil {
		return Identity{}, err
	}
	if !azureMay(r.config.URL, issuer) {
		return Identity{}, fmt.Errorf("%w: issuer %q not valid", ErrIDToken, issuer)
	}
	return r.idToken(ctx, issuer)
}

// azureMay reports whether an issuer's tokens are taken where the setting is this
// URL. A tenant's URL takes that tenant's alone; common and organizations issue
// none themselves and stand for all tenants.
func azureMay(setting, issuer string) bool {
	expected := host(setting, "login.microsoftonline.com/common") + "/v2.0"
	const microsoft = "https://login.microsoftonline.com/"
	switch {
	case expected == microsoft+"common/v2.0", expected == microsoft+"organizations/v2.0":
		return azureIssuer.MatchString(issuer)
	case azureIssuer.MatchString(expected), azureCIAM.MatchString(expected):
		return issuer == expected
	}
	from, err := url.Parse(issuer) // a national cloud's, or a stand-in
	at, errAt := url.Parse(setting)
	return err == nil && errAt == nil && from.Scheme == at.Scheme && from.Host == at.Host
}

func readKeycloak(ctx context.Context, r *reading) (Identity, error) {
	var all map[string]any
	if err := r.get(ctx, r.api+"/protocol/openid-connect/userinfo", &all); err != nil {
		return Identity{}, err
	}
	name, _ := all["name"].(string)
	id, _ := all["sub"].(string)
	email, _ := all["email"].(string)
	verified, _ := all["email_verified"].(bool)
	for _, known := range []string{"name", "sub", "email", "email_verified"} {
		delete(all, known)
	}
	return Identity{Emails: one(email, verified), Claims: Claims{
		Issuer: r.api, Subject: id, Name: name, FullName: name, ProviderID: id, Custom: all,
	}}, nil
}
