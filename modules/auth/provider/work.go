package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Where people work together.

func readFigma(ctx context.Context, r *reading) (Identity, error) {
	var u struct {
		ID     string `json:"id"`
		Email  string `json:"email"`
		Handle string `json:"handle"`
		Image  string `json:"img_url"`
	}
	if err := r.get(ctx, r.api+"/v1/me", &u); err != nil {
		return Identity{}, err
	}
	return Identity{Emails: one(u.Email, true), Claims: Claims{
		Issuer: r.api, Subject: u.ID, Name: u.Handle, AvatarURL: u.Image, FullName: u.Handle, ProviderID: u.ID,
	}}, nil
}

func readNotion(ctx context.Context, r *reading) (Identity, error) {
	var u struct {
		Bot struct {
			Owner struct {
				User struct {
					ID        string `json:"id"`
					Name      string `json:"name"`
					AvatarURL string `json:"avatar_url"`
					Person    struct {
						Email string `json:"email"`
					} `json:"person"`
				} `json:"user"`
			} `json:"owner"`
		} `json:"bot"`
	}
	if err := r.get(ctx, r.api+"/v1/users/me", &u, "Notion-Version", "2021-08-16"); err != nil {
		return Identity{}, err
	}
	me := u.Bot.Owner.User
	return Identity{
		Emails: one(me.Person.Email, true),
		Claims: Claims{Issuer: r.api, Subject: me.ID, Name: me.Name, Picture: me.AvatarURL}.legacy(),
	}, nil
}

// slackUser is what both of Slack's services tell.
type slackUser struct {
	ID       string `json:"https://slack.com/user_id"`
	TeamID   string `json:"https://slack.com/team_id"`
	Email    string `json:"email"`
	Verified bool   `json:"email_verified"`
	Name     string `json:"name"`
	Picture  string `json:"picture"`
}

func (u slackUser) identity(api string, verified bool) Identity {
	return Identity{Emails: one(u.Email, verified), Claims: Claims{
		Issuer: api, Subject: u.ID, Name: u.Name, Picture: u.Picture, Custom: map[string]any{"https://slack.com/team_id": u.TeamID},
	}.legacy()}
}

// readSlack takes the address for verified: the older service does not say.
func readSlack(ctx context.Context, r *reading) (Identity, error) {
	var u slackUser
	if err := r.get(ctx, r.api+"/api/openid.connect.userInfo", &u); err != nil {
		return Identity{}, err
	}
	return u.identity(r.api+"/api", true), nil
}

func readSlackOIDC(ctx context.Context, r *reading) (Identity, error) {
	var u slackUser
	if err := r.get(ctx, r.api+"/api/openid.connect.userInfo", &u); err != nil {
		return Identity{}, err
	}
	return u.identity(r.api+"/api", u.Verified), nil
}

// linkedInName is a name in several languages.
type linkedInName struct {
	Localized map[string]string `json:"localized"`
	Preferred struct {
		Country  string `json:"country"`
		Language string `json:"language"`
	} `json:"preferredLocale"`
}

func (n linkedInName) text() string { return n.Localized[n.Preferred.Language+"_"+n.Preferred.Country] }

func readLinkedIn(ctx context.Context, r *reading) (Identity, error) {
	var u struct {
		ID        string       `json:"id"`
		FirstName linkedInName `json:"firstName"`
		LastName  linkedInName `json:"lastName"`
		Picture   struct {
			Display struct {
				Elements []struct {
					Identifiers []struct {
						Identifier string `json:"identifier"`
					} `json:"identifiers"`
				} `json:"elements"`
			} `json:"displayImage~"`
		} `json:"profilePicture"`
	}
	if err := r.get(ctx, r.api+"/v2/me?projection=(id,firstName,lastName,profilePicture(displayImage~:playableStreams))", &u); err != nil {
		return Identity{}, err
	}
	var emails struct {
		Elements []struct {
			Handle struct {
				Address string `json:"emailAddress"`
			} `json:"handle~"`
		} `json:"elements"`
	}
	if err := r.get(ctx, r.api+"/v2/emailAddress?q=members&projection=(elements*(handle~))", &emails); err != nil {
		return Identity{}, err
	}
	who := Identity{Claims: Claims{Issuer: r.api, Subject: u.ID, Name: full(u.FirstName.text(), u.LastName.text())}}
	if images := u.Picture.Display.Elements; len(images) > 0 && len(images[0].Identifiers) > 0 {
		who.Claims.Picture = images[0].Identifiers[0].Identifier
	}
	who.Claims = who.Claims.legacy()
	if len(emails.Elements) > 0 { // LinkedIn tells the primary address only, which is verified
		who.Emails = one(emails.Elements[0].Handle.Address, true)
	}
	return who, nil
}

// readWorkOS finds the profile in the token's own answer.
func readWorkOS(_ context.Context, r *reading) (Identity, error) {
	profile := r.token.Extra("profile")
	if profile == nil {
		return Identity{}, errors.New("no profile came with the token")
	}
	var u struct {
		ID             string `json:"id"`
		ConnectionID   string `json:"connection_id"`
		OrganizationID string `json:"organization_id"`
		Email          string `json:"email"`
		FirstName      string `json:"first_name"`
		LastName       string `json:"last_name"`
	}
	text, err := json.Marshal(profile)
	if err == nil {
		err = json.Unmarshal(text, &u)
	}
	if err != nil {
		return Identity{}, fmt.Errorf("profile: %w", err)
	}
	return Identity{Emails: one(u.Email, true), Claims: Claims{
		Issuer: r.api, Subject: u.ID, Name: full(u.FirstName, u.LastName),
		Custom: map[string]any{"connection_id": u.ConnectionID, "organization_id": u.OrganizationID},
	}.legacy()}, nil
}

func readZoom(ctx context.Context, r *reading) (Identity, error) {
	api := r.api + "/v2"
	var u struct {
		ID        string          `json:"id"`
		FirstName string          `json:"first_name"`
		LastName  string          `json:"last_name"`
		Email     string          `json:"email"`
		Verified  int             `json:"verified"`
		LoginType json.RawMessage `json:"login_type"`
		Image     string          `json:"pic_url"`
	}
	if err := r.get(ctx, api+"/users/me", &u); err != nil {
		return Identity{}, err
	}
	byEmail := string(u.LoginType) == `"100"` || string(u.LoginType) == "100" // who signs in to Zoom otherwise than by address has none to confirm
	return Identity{
		Emails: one(u.Email, !byEmail || u.Verified != 0),
		Claims: Claims{Issuer: api, Subject: u.ID, Name: full(u.FirstName, u.LastName), Picture: u.Image}.legacy(),
	}, nil
}
