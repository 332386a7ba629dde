package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/secret"
)

// keyLife is how long the JSON Web Tokens live that are API keys.
const keyLife = 20 * 365 * 24 * time.Hour

// Keys are those that a project begins with: what derives from its secret. Its tokens
// of the old kind name it by the claim ref, as hosted Supabase's do. The default
// project's are the process's.
func (r *Registry) Keys(p Project) (*claims.Keys, error) {
	secrets, err := r.Secrets(p)
	if err != nil {
		return nil, err
	}
	return keysOf(p.Ref, p.CreatedAt, secrets.JWTSecret)
}

func keysOf(ref string, issued time.Time, jwtSecret secret.String) (*claims.Keys, error) {
	if ref == DefaultRef || jwtSecret == "" {
		return nil, errors.New("registry: the project has no secret of its own")
	}
	cfg := claims.Config{Secret: jwtSecret}
	signer, err := claims.NewKeys(cfg)
	if err != nil {
		return nil, fmt.Errorf("registry: keys of %s: %w", ref, err)
	}
	for role, into := range map[string]*secret.String{claims.RoleAnon: &cfg.AnonKey, claims.RoleService: &cfg.ServiceKey} {
		payload, err := json.Marshal(map[string]any{
			"iss": "madbase", "ref": ref, "role": role, "iat": issued.Unix(), "exp": issued.Add(keyLife).Unix(),
		})
		if err != nil {
			return nil, fmt.Errorf("registry: keys of %s: %w", ref, err)
		}
		token, err := signer.Sign(payload)
		if err != nil {
			return nil, fmt.Errorf("registry: keys of %s: %w", ref, err)
		}
		*into = secret.String(token)
	}
	return claims.NewKeys(cfg)
}

// hashes are those of the opaque keys that derive from jwtSecret.
func hashes(jwtSecret secret.String) ([][]byte, error) {
	keys, err := claims.NewKeys(claims.Config{Secret: jwtSecret})
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	api := keys.API()
	publishable, secretKey := claims.HashKey(api.Publishable), claims.HashKey(api.Secret)
	return [][]byte{publishable[:], secretKey[:]}, nil
}
