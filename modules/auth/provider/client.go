package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"
)

// maxAnswer bounds what is read of a service's answer, in bytes.
const maxAnswer = 1 << 20

// service is one row of the catalog: a service that speaks OAuth 2.
type service struct {
	// auth and api are the usual hosts; Config.URL stands for both. apiPath follows an api host from Config.URL.
	auth, api, apiPath string
	// authorize and token are the two endpoints, with {auth} and {api} for the hosts.
	authorize, token string
	// issuer gives the endpoints by discovery, in the place of the above.
	issuer string
	scopes []string
	// fixed services take no further scopes.
	fixed bool
	pkce  bool
	style oauth2.AuthStyle
	// params are added to the authorization request.
	params map[string]string
	// read says who the token is for.
	read func(context.Context, *reading) (Identity, error)
}

// client is a service as it is set up.
type client struct {
	service
	name    string
	api     string
	config  Config
	oauth   oauth2.Config
	http    *http.Client
	issuers *issuers
}

// reading is what a service's function reads a person with.
type reading struct {
	*client
	token *oauth2.Token
	user  string // Apple's
}

// New returns the built-in service of a name, with further scopes parted by
// commas. It asks services with discovery for their endpoints.
func (s *Services) New(ctx context.Context, name string, cfg Config, scopes string) (Provider, error) {
	if name == twitterName {
		return newTwitter(cfg, s.client)
	}
	row, ok := catalog()[name]
	if !ok {
		return nil, SetupError("Provider " + name + " could not be found")
	}
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if name == "keycloak" && cfg.URL == "" {
		return nil, SetupError("unable to find URL for the Keycloak provider")
	}
	auth, api := host(cfg.URL, row.auth), host(cfg.URL, row.api)
	if cfg.URL != "" && !strings.HasSuffix(api, row.api) {
		api += row.apiPath
	}
	hosts := strings.NewReplacer("{auth}", auth, "{api}", api)
	endpoint := oauth2.Endpoint{AuthURL: hosts.Replace(row.authorize), TokenURL: hosts.Replace(row.token)}
	if row.issuer != "" {
		issuer, err := s.issuers.get(ctx, row.issuer, "")
		if err != nil {
			return nil, err
		}
		endpoint = issuer.Endpoint()
	}
	endpoint.AuthStyle = row.style
	all := slices.Clone(row.scopes)
	if !row.fixed && scopes != "" {
		all = append(all, strings.Split(scopes, ",")...)
	}
	return &client{
		service: row, name: name, api: api, config: cfg, http: s.client, issuers: s.issuers,
		oauth: oauth2.Config{ClientID: cfg.ClientID[0], ClientSecret: cfg.Secret.Reveal(), Endpoint: endpoint, RedirectURL: cfg.RedirectURI, Scopes: all},
	}, nil
}

// host is the address that a setting gives, without its last slash, or else the usual host.
func host(setting, usual string) string {
	if setting == "" {
		return "https://" + usual
	}
	return strings.TrimSuffix(setting, "/")
}

// Services makes providers. It is safe for use by several goroutines.
type Services struct {
	client  *http.Client
	issuers *issuers
}

// NewServices returns services that are asked through c, which must have a
// transport and a timeout. At most 1 MiB is read of any answer.
func NewServices(c *http.Client) *Services {
	bounded := *c
	bounded.Transport = limited{c.Transport}
	return &Services{client: &bounded, issuers: newIssuers(&bounded)}
}

// limited cuts every answer off.
type limited struct{ base http.RoundTripper }

// RoundTrip sends the request; the answer's body ends after maxAnswer bytes.
func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.base.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

// Start returns the service's address with the request for authorization.
func (c *client) Start(_ context.Context, a Authorization) (string, string, error) {
	return start(&c.oauth, c.params, c.pkce, a)
}

// start writes an authorization request. The server's own parameters come last:
// no others can take their place.
func start(cfg *oauth2.Config, fixed map[string]string, pkce bool, a Authorization) (address, verifier string, err error) {
	var options []oauth2.AuthCodeOption
	if pkce {
		verifier = oauth2.GenerateVerifier()
		options = append(options, oauth2.S256ChallengeOption(verifier))
	}
	target, err := url.Parse(cfg.AuthCodeURL(a.State, options...))
	if err != nil {
		return "", "", fmt.Errorf("provider: authorization address: %w", err)
	}
	q := url.Values{}
	for name := range a.Params {
		q.Set(name, a.Params.Get(name))
	}
	for name, value := range fixed {
		q.Set(name, value)
	}
	for name, values := range target.Query() {
		q[name] = values
	}
	target.RawQuery = q.Encode()
	return target.String(), verifier, nil
}

// Finish exchanges the code and reads who it is.
func (c *client) Finish(ctx context.Context, cb Callback) (*Grant, error) {
	if c.pkce && cb.Kept == "" {
		return nil, fmt.Errorf("%w: the verifier is missing", ErrExchange)
	}
	token, err := exchange(ctx, &c.oauth, c.http, cb)
	if err != nil {
		return nil, err
	}
	who, err := c.read(ctx, &reading{client: c, token: token, user: cb.User})
	if err != nil {
		return nil, fmt.Errorf("provider: %s: %w", c.name, err)
	}
	return finished(c.name, who, token)
}

// exchange asks the token endpoint for the code's token.
func exchange(ctx context.Context, cfg *oauth2.Config, h *http.Client, cb Callback) (*oauth2.Token, error) {
	var options []oauth2.AuthCodeOption
	if cb.Kept != "" {
		options = append(options, oauth2.VerifierOption(cb.Kept))
	}
	token, err := cfg.Exchange(context.WithValue(ctx, oauth2.HTTPClient, h), cb.Code, options...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrExchange, err)
	}
	return token, nil
}

// maxSubject bounds a person's id at a service, in bytes.
const maxSubject = 1024

func finished(name string, who Identity, token *oauth2.Token) (*Grant, error) {
	if who.Claims.Subject == "" || len(who.Claims.Subject) > maxSubject {
		return nil, fmt.Errorf("provider: %s told no usable id of the person", name)
	}
	who.Provider = name
	who.Settle()
	return &Grant{Identity: who, AccessToken: token.AccessToken, RefreshToken: token.RefreshToken}, nil
}

// get reads the JSON at an address of the service's into v, as the token's bearer;
// headers are names and values in turn.
func (r *reading) get(ctx context.Context, address string, v any, headers ...string) error {
	headers = append(headers, "Authorization", r.token.Type()+" "+r.token.AccessToken)
	return getJSON(ctx, r.http, address, v, headers...)
}

func getJSON(ctx context.Context, h *http.Client, address string, v any, headers ...string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return fmt.Errorf("provider: request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := h.Do(req)
	if err != nil {
		return fmt.Errorf("provider: request: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("provider: read answer: %w", err)
	}
	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("provider: %s answered %s", req.URL.Host, resp.Status)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("provider: answer of %s: %w", req.URL.Host, err)
	}
	return nil
}
