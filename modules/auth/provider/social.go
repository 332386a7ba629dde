package provider

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Where people meet, listen and watch.

func readFacebook(ctx context.Context, r *reading) (Identity, error) {
	var u struct {
		ID        string `json:"id"`
		Email     string `json:"email"`
		FirstName string `json:"first_name"`
		LastName  string `json:"last_name"`
		Alias     string `json:"name"`
		Picture   struct {
			Data struct {
				URL string `json:"url"`
			} `json:"data"`
		} `json:"picture"`
	}
	profile := r.api + "/me?fields=email,first_name,last_name,name,picture"
	proof := hmac.New(sha256.New, []byte(r.oauth.ClientSecret)) // Graph API: securing requests
	proof.Write([]byte(r.token.AccessToken))
	if err := r.get(ctx, profile+"&appsecret_proof="+hex.EncodeToString(proof.Sum(nil)), &u); err != nil {
		return Identity{}, err
	}
	c := Claims{Issuer: profile, Subject: u.ID, Name: full(u.FirstName, u.LastName), Picture: u.Picture.Data.URL}.legacy()
	c.Nickname, c.Slug = u.Alias, u.Alias
	return Identity{Emails: one(u.Email, true), Claims: c}, nil
}

// full joins the names that are there.
func full(first, last string) string { return strings.TrimSpace(first + " " + last) }

func readDiscord(ctx context.Context, r *reading) (Identity, error) {
	var u struct {
		ID            string `json:"id"`
		Name          string `json:"username"`
		GlobalName    string `json:"global_name"`
		Discriminator string `json:"discriminator"`
		Avatar        string `json:"avatar"`
		Email         string `json:"email"`
		Verified      bool   `json:"verified"`
	}
	api := r.api + "/api"
	if err := r.get(ctx, api+"/users/@me", &u); err != nil {
		return Identity{}, err
	}
	const cdn = "https://cdn.discordapp.com"
	avatar := fmt.Sprintf("%s/avatars/%s/%s.png", cdn, u.ID, u.Avatar)
	switch {
	case u.Avatar == "":
		n, err := strconv.Atoi(u.Discriminator)
		if err != nil {
			return Identity{}, fmt.Errorf("discriminator: %w", err)
		}
		avatar = fmt.Sprintf("%s/embed/avatars/%d.png", cdn, n%5)
	case strings.HasPrefix(u.Avatar, "a_"): // an animated one
		avatar = strings.TrimSuffix(avatar, "png") + "gif"
	}
	c := Claims{
		Issuer: api, Subject: u.ID, Name: u.Name + "#" + u.Discriminator, Picture: avatar,
		Custom: map[string]any{"global_name": u.GlobalName},
	}.legacy()
	c.FullName = u.Name
	return Identity{Emails: one(u.Email, u.Verified), Claims: c}, nil
}

func readKakao(ctx context.Context, r *reading) (Identity, error) {
	var u struct {
		ID      int64 `json:"id"`
		Account struct {
			Profile struct {
				Nickname string `json:"nickname"`
				Image    string `json:"profile_image_url"`
			} `json:"profile"`
			Email    string `json:"email"`
			Valid    bool   `json:"is_email_valid"`
			Verified bool   `json:"is_email_verified"`
		} `json:"kakao_account"`
	}
	if err := r.get(ctx, r.api+"/v2/user/me", &u); err != nil {
		return Identity{}, err
	}
	if u.ID == 0 {
		return Identity{}, errors.New("no id")
	}
	id, name := strconv.FormatInt(u.ID, 10), u.Account.Profile.Nickname
	return Identity{Emails: one(u.Account.Email, u.Account.Valid && u.Account.Verified), Claims: Claims{
		Issuer: r.api, Subject: id, Name: name, PreferredUsername: name,
		AvatarURL: u.Account.Profile.Image, FullName: name, ProviderID: id, UserName: name,
	}}, nil
}

func readSnapchat(ctx context.Context, r *reading) (Identity, error) {
	var u struct {
		Data struct {
			Me struct {
				ExternalID  string `json:"externalId"`
				DisplayName string `json:"displayName"`
				Email       string `json:"email"`
				Bitmoji     struct {
					Avatar string `json:"avatar"`
				} `json:"bitmoji"`
			} `json:"me"`
		} `json:"data"`
	}
	q := url.Values{"query": {"{me { externalId displayName bitmoji { avatar id } email } }"}}
	if err := r.get(ctx, r.api+"/v1/me?"+q.Encode(), &u); err != nil {
		return Identity{}, err
	}
	me := u.Data.Me
	c := Claims{Issuer: issuerSnapchat, Subject: me.ExternalID, Name: me.DisplayName, Picture: me.Bitmoji.Avatar}.legacy()
	c.Slug = me.DisplayName
	return Identity{Emails: one(me.Email, true), Claims: c}, nil
}

func readSpotify(ctx context.Context, r *reading) (Identity, error) {
	var u struct {
		ID     string `json:"id"`
		Name   string `json:"display_name"`
		Email  string `json:"email"`
		Images []struct {
			URL           string `json:"url"`
			Height, Width int
		} `json:"images"`
	}
	if err := r.get(ctx, r.api+"/me", &u); err != nil {
		return Identity{}, err
	}
	avatar, area := "", -1
	for _, i := range u.Images {
		if i.Height*i.Width > area {
			avatar, area = i.URL, i.Height*i.Width
		}
	}
	return Identity{
		Emails: one(u.Email, false), // Spotify says of no address that it is verified
		Claims: Claims{Issuer: r.api, Subject: u.ID, Name: u.Name, Picture: avatar}.legacy(),
	}, nil
}

func readTwitch(ctx context.Context, r *reading) (Identity, error) {
	var u struct {
		Data []struct {
			ID              string `json:"id"`
			Login           string `json:"login"`
			DisplayName     string `json:"display_name"`
			Type            string `json:"type"`
			BroadcasterType string `json:"broadcaster_type"`
			Description     string `json:"description"`
			Image           string `json:"profile_image_url"`
			OfflineImage    string `json:"offline_image_url"`
			ViewCount       int    `json:"view_count"`
			Email           string `json:"email"`
		} `json:"data"`
	}
	if err := r.get(ctx, r.api+"/helix/users", &u, "Client-Id", r.oauth.ClientID); err != nil {
		return Identity{}, err
	}
	if len(u.Data) == 0 {
		return Identity{}, errors.New("no user")
	}
	me := u.Data[0]
	c := Claims{Issuer: r.api, Subject: me.ID, Name: me.Login, Picture: me.Image, Custom: map[string]any{
		"broadcaster_type": me.BroadcasterType, "description": me.Description, "type": me.Type,
		"offline_image_url": me.OfflineImage, "view_count": me.ViewCount,
	}}.legacy()
	c.Nickname, c.Slug = me.DisplayName, me.DisplayName
	return Identity{Emails: one(me.Email, true), Claims: c}, nil
}

func readX(ctx context.Context, r *reading) (Identity, error) {
	var u struct {
		Data struct {
			ID        string `json:"id"`
			Name      string `json:"name"`
			UserName  string `json:"username"`
			Email     string `json:"confirmed_email"`
			Image     string `json:"profile_image_url"`
			URL       string `json:"url"`
			CreatedAt string `json:"created_at"`
		} `json:"data"`
	}
	const fields = "id,name,username,confirmed_email,profile_image_url,url,created_at"
	if err := r.get(ctx, r.api+"/2/users/me?user.fields="+fields, &u); err != nil {
		return Identity{}, err
	}
	me := u.Data
	c := Claims{
		Issuer: r.api, Subject: me.ID, Name: me.Name, PreferredUsername: me.UserName, Picture: me.Image,
		Profile: "https://x.com/" + me.UserName, Website: me.URL, Custom: map[string]any{"created_at": me.CreatedAt},
	}.legacy()
	c.UserName = me.UserName
	return Identity{Emails: one(me.Email, true), Claims: c}, nil
}
