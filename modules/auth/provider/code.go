package provider

import (
	"context"
	"strconv"
)

// Where developers keep their code and run it.

func readGitHub(ctx context.Context, r *reading) (Identity, error) {
	var u struct {
		ID        int64  `json:"id"`
		Login     string `json:"login"`
		Name      string `json:"name"`
		AvatarURL string `json:"avatar_url"`
	}
	if err := r.get(ctx, r.api+"/user", &u); err != nil {
		return Identity{}, err
	}
	var emails []struct {
		Email    string `json:"email"`
		Primary  bool   `json:"primary"`
		Verified bool   `json:"verified"`
	}
	if err := r.get(ctx, r.api+"/user/emails", &emails); err != nil {
		return Identity{}, err
	}
	id := strconv.FormatInt(u.ID, 10)
	if u.ID == 0 {
		id = ""
	}
	who := Identity{Claims: Claims{
		Issuer: r.api, Subject: id, Name: u.Name, PreferredUsername: u.Login,
		AvatarURL: u.AvatarURL, FullName: u.Name, ProviderID: id, UserName: u.Login,
	}}
	for _, e := range emails {
		if e.Email != "" {
			who.Emails = append(who.Emails, Email{e.Email, e.Verified, e.Primary})
		}
	}
	return who, nil
}

func readGitLab(ctx context.Context, r *reading) (Identity, error) {
	var u struct {
		ID          int64  `json:"id"`
		Email       string `json:"email"`
		Name        string `json:"name"`
		AvatarURL   string `json:"avatar_url"`
		ConfirmedAt string `json:"confirmed_at"`
	}
	if err := r.get(ctx, r.api+"/api/v4/user", &u); err != nil {
		return Identity{}, err
	}
	var emails []struct {
		Email string `json:"email"`
	}
	if err := r.get(ctx, r.api+"/api/v4/user/emails", &emails); err != nil {
		return Identity{}, err
	}
	var who Identity
	for _, e := range emails { // of these GitLab does not say whether they are confirmed
		if e.Email != "" {
			who.Emails = append(who.Emails, Email{Address: e.Email})
		}
	}
	who.Emails = append(who.Emails, one(u.Email, u.ConfirmedAt != "")...)
	id := strconv.FormatInt(u.ID, 10)
	if u.ID == 0 {
		id = ""
	}
	who.Claims = Claims{Issuer: r.api, Subject: id, Name: u.Name, Picture: u.AvatarURL}.legacy()
	return who, nil
}

func readBitbucket(ctx context.Context, r *reading) (Identity, error) {
	api := r.api + "/2.0"
	var u struct {
		UUID   string `json:"uuid"`
		Name   string `json:"display_name"`
		Avatar struct {
			Href string `json:"href"`
		} `json:"avatar"`
	}
	if err := r.get(ctx, api+"/user", &u); err != nil {
		return Identity{}, err
	}
	var emails struct {
		Values []struct {
			Email     string `json:"email"`
			Primary   bool   `json:"is_primary"`
			Confirmed bool   `json:"is_confirmed"`
		} `json:"values"`
	}
	if err := r.get(ctx, api+"/user/emails", &emails); err != nil {
		return Identity{}, err
	}
	who := Identity{Claims: Claims{Issuer: api, Subject: u.UUID, Name: u.Name, Picture: u.Avatar.Href}.legacy()}
	for _, e := range emails.Values {
		if e.Email != "" {
			who.Emails = append(who.Emails, Email{e.Email, e.Confirmed, e.Primary})
		}
	}
	return who, nil
}

func readFly(ctx context.Context, r *reading) (Identity, error) {
	var u struct {
		ResourceOwnerID string `json:"resource_owner_id"`
		UserID          string `json:"user_id"`
		UserName        string `json:"user_name"`
		Email           string `json:"email"`
		Organizations   []struct {
			ID   string `json:"id"`
			Role string `json:"role"`
		} `json:"organizations"`
		Scope       []string          `json:"scope"`
		Application map[string]string `json:"application"`
		CreatedAt   int64             `json:"created_at"`
	}
	if err := r.get(ctx, r.api+"/oauth/token/info", &u); err != nil {
		return Identity{}, err
	}
	return Identity{Emails: one(u.Email, true), Claims: Claims{
		Issuer: r.api, Subject: u.UserID, FullName: u.UserName, ProviderID: u.UserID, Custom: map[string]any{
			"resource_owner_id": u.ResourceOwnerID, "organizations": u.Organizations, "application": u.Application,
			"scope": u.Scope, "created_at": u.CreatedAt,
		},
	}}, nil
}
