// Package accesskey knows who signs requests of the S3 protocol: the project's own
// pair of keys, a user by a session token, and the pairs that an administrator made.
package accesskey

import (
	"context"
	"errors"
	"strings"

	"github.com/madbase/madbase/platform/cache"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/secret"
)

// ErrUnknown means that nobody has the access key.
var ErrUnknown = errors.New("accesskey: no such access key")

// Config is the project's own pair, by supabase/storage's names.
type Config struct {
	AccessKey string        `env:"S3_PROTOCOL_ACCESS_KEY_ID" doc:"Access key of the S3 protocol that acts as service_role. Empty: derived from JWT_SECRET." group:"storage" scope:"process"`
	SecretKey secret.String `env:"S3_PROTOCOL_ACCESS_KEY_SECRET" doc:"Its secret. Empty: derived from JWT_SECRET." group:"storage" scope:"process"`
}

// Validate names every fault.
func (c Config) Validate() error {
	if (c.AccessKey == "") != (c.SecretKey == "") {
		return errors.New("S3_PROTOCOL_ACCESS_KEY_ID and S3_PROTOCOL_ACCESS_KEY_SECRET must be set together")
	}
	if strings.Contains(c.AccessKey, "/") || len(c.AccessKey) > 128 {
		return errors.New("S3_PROTOCOL_ACCESS_KEY_ID must have at most 128 characters and no slash")
	}
	return nil
}

// Pair is an access key with its secret.
type Pair struct {
	AccessKey string
	SecretKey secret.String
}

// Pair is that of the settings or, without one, what every process derives from the
// project's keys.
func (c Config) Pair(keys *claims.Keys) Pair {
	if c.AccessKey != "" {
		return Pair(c)
	}
	return Pair{keys.Derive("s3/access-key", 16).Reveal(), keys.Derive("s3/secret-key", 32)}
}

// Signer is who signs with an access key, and the secrets of which one signs.
type Signer struct {
	Caller  *claims.Caller
	Secrets []secret.String
}

// Keyring finds access keys. It serves all projects.
type Keyring struct {
	cfg      Config
	projects *project.Directory
	sealer   Sealer
	recent   *cache.LRU[string, Signer] // without a Caller where there is none
}

// New returns a Keyring. cfg, which must be valid, is for the default one of projects
// alone: its pair opens no other. Without projects there is but one. sealer opens
// managed keys; without it there are none.
func New(cfg Config, projects *project.Directory, sealer Sealer) *Keyring {
	return &Keyring{cfg: cfg, projects: projects, sealer: sealer, recent: cache.New[string, Signer](remembered)}
}

// Pair returns p's own pair, which acts as service_role.
func (k *Keyring) Pair(p *project.Project) Pair {
	if k.projects != nil && k.projects.Default().Ref != p.Ref {
		return Config{}.Pair(p.Keys)
	}
	return k.cfg.Pair(p.Keys)
}

// Find returns who signs with an access key of p. With a session token, which is a
// user's JSON Web Token, that is the user, and the secret is the project's anon or
// publishable key: neither it nor the access key, by custom the project's ref, proves
// anything, the token does. The error is ErrUnknown, one of claims for the token, or
// the database's.
func (k *Keyring) Find(ctx context.Context, p *project.Project, accessKey, sessionToken string) (Signer, error) {
	api := p.Keys.API()
	if sessionToken != "" {
		token, err := p.Keys.Exchange(sessionToken)
		if err != nil {
			return Signer{}, err
		}
		caller, err := p.Keys.Verify(token)
		if err != nil {
			return Signer{}, err
		}
		return Signer{Caller: caller, Secrets: []secret.String{api.Anon, api.Publishable}}, nil
	}
	if own := k.Pair(p); own.AccessKey == accessKey {
		return Signer{Caller: service(), Secrets: []secret.String{own.SecretKey}}, nil
	}
	return k.managed(ctx, p, accessKey)
}

// service is who has the project's own pair. It is not the service key: that may be
// revoked while this pair goes on.
func service() *claims.Caller {
	return &claims.Caller{
		Role: claims.RoleService, JSON: []byte(`{"role":"service_role"}`), Payload: map[string]any{"role": claims.RoleService},
	}
}
