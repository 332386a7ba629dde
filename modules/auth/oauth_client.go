package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
)

// Ways in which an app proves who it is at the token endpoint (RFC 7591, section 2).
const (
	clientSecretBasic = "client_secret_basic"
	clientSecretPost  = "client_secret_post"
	clientSecretNone  = "none"
)

// newClientSecret returns a secret of 256 bits and the hash that is stored of it.
func newClientSecret() (secret, hash string) {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	secret = base64.RawURLEncoding.EncodeToString(random)
	return secret, hashClientSecret(secret)
}

// hashClientSecret is GoTrue's hash. A fast one will do: nobody guesses 256 bits.
func hashClientSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// oauthTokenRequest is a request to the token endpoint.
type oauthTokenRequest struct {
	GrantType    string `json:"grant_type"`
	Code         string `json:"code"`
	RefreshToken string `json:"refresh_token"`
	RedirectURI  string `json:"redirect_uri"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	CodeVerifier string `json:"code_verifier"`
	Resource     string `json:"resource"`
}

// readTokenRequest reads JSON, if the content type says so, or else a form. The
// query is not read: secrets in it would end up in logs (RFC 6749, section 2.3.1).
func readTokenRequest(c echo.Context) (oauthTokenRequest, error) {
	body, err := wholeBody(c)
	if err != nil {
		return oauthTokenRequest{}, err
	}
	if strings.Contains(c.Request().Header.Get(echo.HeaderContentType), echo.MIMEApplicationJSON) {
		var req oauthTokenRequest
		if err := decode(body, &req); err != nil {
			return req, oauthError(oauthInvalidRequest, "Invalid JSON body").Because(err)
		}
		return req, nil
	}
	form, err := url.ParseQuery(strings.ToValidUTF8(string(body), "\uFFFD"))
	if err != nil {
		return oauthTokenRequest{}, oauthError(oauthInvalidRequest, "Failed to parse form data").Because(err)
	}
	return oauthTokenRequest{
		GrantType: form.Get("grant_type"), Code: form.Get("code"), RefreshToken: form.Get("refresh_token"), RedirectURI: form.Get("redirect_uri"),
		ClientID: form.Get("client_id"), ClientSecret: form.Get("client_secret"), CodeVerifier: form.Get("code_verifier"), Resource: form.Get("resource"),
	}, nil
}

// credentials are who the app says it is, and how: the header Authorization
// counts before the body.
func credentials(r *http.Request, req oauthTokenRequest) (id, secret, method string, err error) {
	if basic, ok := strings.CutPrefix(r.Header.Get(echo.HeaderAuthorization), "Basic "); ok {
		decoded, err := base64.StdEncoding.DecodeString(basic)
		if err != nil {
			return "", "", "", errors.New("invalid basic auth encoding")
		}
		id, secret, ok := strings.Cut(string(decoded), ":")
		if !ok {
			return "", "", "", errors.New("invalid basic auth format")
		}
		return id, secret, clientSecretBasic, nil
	}
	switch {
	case req.ClientID == "":
		return "", "", "", errors.New("client_id is required")
	case req.ClientSecret == "":
		return req.ClientID, "", clientSecretNone, nil
	}
	return req.ClientID, req.ClientSecret, clientSecretPost, nil
}

// authenticateClient finds the app that sends a request to the token endpoint and
// checks that it is the one. The messages are GoTrue's; OAuth's members are there
// for clients that know only those.
func authenticateClient(c echo.Context, req oauthTokenRequest) (*store.OAuthClient, error) {
	refuse := func(message string) error {
		return badRequest(codeInvalidCredentials, message).WithField(fieldOAuth, oauthInvalidClient)
	}
	name, secret, method, err := credentials(c.Request(), req)
	if err != nil {
		return nil, refuse("Invalid client credentials: " + err.Error())
	}
	id, err := uuid.Parse(name)
	if err != nil {
		return nil, refuse("Invalid client_id format")
	}
	client, err := store.OAuthClientByID(c.Request().Context(), projectOf(c).DB.Auth, id.String())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, refuse("Invalid client credentials")
	case err != nil:
		return nil, fmt.Errorf("auth: authenticate client: %w", err)
	case method != client.AuthMethod:
		return nil, refuse(fmt.Sprintf("invalid authentication method: client is registered for '%s' but '%s' was used", client.AuthMethod, method))
	case client.Type == store.OAuthPublic && secret != "":
		return nil, refuse("public clients must not provide client_secret")
	case client.Type == store.OAuthPublic:
		return client, nil
	case secret == "":
		return nil, refuse("confidential clients must provide client_secret")
	case client.SecretHash == "" || subtle.ConstantTimeCompare([]byte(hashClientSecret(secret)), []byte(client.SecretHash)) != 1:
		return nil, refuse("invalid client credentials")
	}
	return client, nil
}
