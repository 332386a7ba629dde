package control

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/secret"
)

// signingKeyInfo has the names that Supabase's management API uses.
type signingKeyInfo struct {
	ID        string          `json:"id"`
	Algorithm string          `json:"algorithm"`
	Status    string          `json:"status"`
	PublicJWK json.RawMessage `json:"public_jwk,omitempty"`
	CreatedAt string          `json:"created_at,omitempty"`
	UpdatedAt string          `json:"updated_at,omitempty"`
}

// listSigningKeys begins with the keys of the configuration, which "configured" stands for.
func (m *Module) listSigningKeys(c echo.Context) error {
	s, p, err := m.registered(c)
	if err != nil {
		return err
	}
	configured, err := m.deps.Keys(p.Ref)
	if err != nil {
		return err
	}
	stored := s.SigningKeys(p.Ref)
	list := []signingKeyInfo{}
	if !slices.ContainsFunc(stored, func(k registry.SigningKey) bool { return k.ID == claims.Configured }) {
		list = append(list, signingKeyInfo{ID: claims.Configured, Algorithm: configured.ConfiguredAlgorithm(), Status: claims.KeyInUse})
	}
	for _, k := range stored {
		if k.ID == claims.Configured {
			k.Algorithm = configured.ConfiguredAlgorithm()
		}
		info, err := m.describeSigningKey(k)
		if err != nil {
			return err
		}
		list = append(list, info)
	}
	return httpx.JSON(c, http.StatusOK, struct {
		Keys []signingKeyInfo `json:"keys"`
	}{list})
}

func (m *Module) describeSigningKey(k registry.SigningKey) (signingKeyInfo, error) {
	info := signingKeyInfo{ID: k.ID, Algorithm: k.Algorithm, Status: k.Status, CreatedAt: timestamp(k.CreatedAt), UpdatedAt: timestamp(k.ChangedAt)}
	jwk, err := m.deps.Registry.SigningKeyJWK(k)
	if err == nil && jwk != "" {
		info.PublicJWK, err = claims.PublicKey(k.ID, jwk)
	}
	return info, err
}

// createSigningKey makes a key, or takes one as private_jwk. It waits as standby, known
// to all who verify tokens, until it is rotated into use.
func (m *Module) createSigningKey(c echo.Context) error {
	var body struct {
		Algorithm  string          `json:"algorithm"`
		PrivateJWK json.RawMessage `json:"private_jwk"`
	}
	if err := readBody(c, maxKeyBody, &body); err != nil {
		return err
	}
	if _, _, err := m.registered(c); err != nil {
		return err
	}
	algorithm, jwk, err := signingKeyOf(body.Algorithm, body.PrivateJWK)
	if err != nil {
		return err
	}
	made, err := m.deps.Registry.AddSigningKey(c.Request().Context(), m.entry(c, "signing-key.create"), algorithm, jwk)
	if err != nil {
		return signingKeyFault(err)
	}
	return m.answerSigningKey(c, http.StatusCreated, made)
}

func signingKeyOf(algorithm string, private json.RawMessage) (string, secret.String, error) {
	refused := func() error {
		return faults("The signing key cannot be made", "algorithm must be ES256, RS256, EdDSA or HS256, and private_jwk, where it is given, a private key for it")
	}
	if private == nil {
		if algorithm == "" {
			algorithm = "ES256"
		}
		jwk, err := claims.NewSigningKey(algorithm)
		if errors.Is(err, claims.ErrSigningKey) {
			return "", "", refused()
		}
		return algorithm, jwk, err
	}
	jwk := secret.String(private)
	found, err := claims.SigningAlgorithm(jwk)
	if err != nil || algorithm != "" && algorithm != found {
		return "", "", refused()
	}
	return found, jwk, nil
}

// rotateSigningKey has the key sign from now on. The one before goes on verifying, so
// that nobody is signed out.
func (m *Module) rotateSigningKey(c echo.Context) error {
	if err := m.checkRoute(c); err != nil {
		return err
	}
	key, err := m.deps.Registry.RotateSigningKey(c.Request().Context(), m.entry(c, "signing-key.rotate"), c.Param("id"))
	if err != nil {
		return signingKeyFault(err)
	}
	return m.answerSigningKey(c, http.StatusOK, key)
}

// revokeSigningKey ends a key and every token that it has signed.
func (m *Module) revokeSigningKey(c echo.Context) error {
	if err := m.checkRoute(c); err != nil {
		return err
	}
	key, err := m.deps.Registry.RevokeSigningKey(c.Request().Context(), m.entry(c, "signing-key.revoke"), c.Param("id"))
	if err != nil {
		return signingKeyFault(err)
	}
	return m.answerSigningKey(c, http.StatusOK, key)
}

func (m *Module) answerSigningKey(c echo.Context, status int, k registry.SigningKey) error {
	info, err := m.describeSigningKey(k)
	if err != nil {
		return err
	}
	return httpx.JSON(c, status, info)
}

func signingKeyFault(err error) error {
	switch {
	case errors.Is(err, registry.ErrNoKey):
		return apierr.New(http.StatusNotFound, "no_key", "No such signing key")
	case errors.Is(err, registry.ErrKeyState):
		return apierr.New(http.StatusConflict, "key_status", "The status of the project's signing keys does not allow this").
			WithDetail("One key waits as standby at most; a standby or previously used key is rotated into use or revoked; the one in use is not revoked")
	case errors.Is(err, registry.ErrTooSoon):
		return apierr.New(http.StatusConflict, "too_soon", "The key is not known everywhere yet: try again in a few seconds").
			WithHeader("Retry-After", strconv.Itoa(int(registry.Settled.Seconds())))
	}
	return keyFault(err)
}
