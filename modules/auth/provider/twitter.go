package provider

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // OAuth 1's signature is HMAC-SHA1
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// twitter is the one service that speaks OAuth 1 (RFC 5849).
type twitter struct {
	config Config
	host   string
	http   *http.Client
}

func newTwitter(cfg Config, h *http.Client) (Provider, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	return &twitter{config: cfg, host: host(cfg.URL, "api.twitter.com"), http: h}, nil
}

// Start asks for a request token, which is bound to the state by the address
// that it is asked for with; it is kept with its secret.
func (t *twitter) Start(ctx context.Context, a Authorization) (address, kept string, err error) {
	back := t.config.RedirectURI + "?state=" + url.QueryEscape(a.State)
	answer, err := t.form(ctx, "/oauth/request_token", "", map[string]string{"oauth_callback": back})
	if err != nil {
		return "", "", err
	}
	token := answer.Get("oauth_token")
	if token == "" {
		return "", "", fmt.Errorf("provider: twitter gave no request token")
	}
	return t.host + "/oauth/authenticate?" + url.Values{"oauth_token": {token}}.Encode(), token + " " + answer.Get("oauth_token_secret"), nil
}

// Finish exchanges the request token, which must be the one that Start was given.
func (t *twitter) Finish(ctx context.Context, cb Callback) (*Grant, error) {
	token, secret, _ := strings.Cut(cb.Kept, " ")
	if token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(cb.OAuthToken)) != 1 {
		return nil, fmt.Errorf("%w: another request token", ErrExchange)
	}
	answer, err := t.form(ctx, "/oauth/access_token", secret, map[string]string{"oauth_token": token, "oauth_verifier": cb.OAuthVerifier})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrExchange, err)
	}
	profile := t.host + "/1.1/account/verify_credentials.json"
	q := url.Values{"include_entities": {"false"}, "skip_status": {"true"}, "include_email": {"true"}}
	head, err := t.sign(http.MethodGet, profile, answer.Get("oauth_token_secret"), map[string]string{"oauth_token": answer.Get("oauth_token")}, q)
	if err != nil {
		return nil, err
	}
	var u struct {
		ID        string `json:"id_str"`
		UserName  string `json:"screen_name"`
		Name      string `json:"name"`
		AvatarURL string `json:"profile_image_url_https"`
		Email     string `json:"email"`
	}
	if err := getJSON(ctx, t.http, profile+"?"+q.Encode(), &u, "Authorization", head); err != nil {
		return nil, err
	}
	who := Identity{Provider: twitterName, Emails: one(u.Email, true), Claims: Claims{
		Issuer: profile, Subject: u.ID, Name: u.Name, Picture: u.AvatarURL, PreferredUsername: u.UserName,
	}.legacy()}
	who.Claims.UserName = u.UserName
	who.Settle()
	if u.ID == "" {
		return nil, fmt.Errorf("provider: twitter told no id of the person")
	}
	return &Grant{Identity: who, AccessToken: answer.Get("oauth_token")}, nil
}

// form sends a signed request without a body and reads a form.
func (t *twitter) form(ctx context.Context, path, secret string, params map[string]string) (url.Values, error) {
	head, err := t.sign(http.MethodPost, t.host+path, secret, params, nil)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.host+path, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("provider: twitter: %w", err)
	}
	req.Header.Set("Authorization", head)
	resp, err := t.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("provider: twitter: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("provider: twitter: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("provider: twitter answered %s", resp.Status)
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("provider: twitter: %w", err)
	}
	return values, nil
}

// sign makes the header Authorization (RFC 5849, section 3).
func (t *twitter) sign(method, address, secret string, params map[string]string, query url.Values) (string, error) {
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("provider: twitter: %w", err)
	}
	all := maps.Clone(params)
	all["oauth_consumer_key"] = t.config.ClientID[0]
	all["oauth_nonce"] = base64.RawURLEncoding.EncodeToString(nonce)
	all["oauth_signature_method"] = "HMAC-SHA1"
	all["oauth_timestamp"] = strconv.FormatInt(time.Now().Unix(), 10)
	all["oauth_version"] = "1.0"
	signed := maps.Clone(all)
	for name := range query {
		signed[name] = query.Get(name)
	}
	all["oauth_signature"] = signature(method, address, t.config.Secret.Reveal()+"&"+escape(secret), signed)
	var fields []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fields = append(fields, escape(name)+`="`+escape(all[name])+`"`)
	}
	return "OAuth " + strings.Join(fields, ", "), nil
}

func signature(method, address, key string, params map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(params)) {
		pairs = append(pairs, escape(name)+"="+escape(params[name]))
	}
	mac := hmac.New(sha1.New, []byte(key))
	mac.Write([]byte(method + "&" + escape(address) + "&" + escape(strings.Join(pairs, "&"))))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// escape is RFC 5849's percent-encoding (section 3.6), which spares fewer signs than net/url's.
func escape(text string) string {
	return strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~").Replace(url.QueryEscape(text))
}
