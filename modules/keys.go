package modules

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/madbase/madbase/cli"
	"github.com/madbase/madbase/config"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/secret"
)

// access is what a supabase-js app and its developer need to know of a project.
type access struct {
	APIURL         string `json:"api_url"`
	AnonKey        string `json:"anon_key"`
	ServiceRoleKey string `json:"service_role_key"`
	PublishableKey string `json:"publishable_key"`
	SecretKey      string `json:"secret_key"`
	JWTSecret      string `json:"jwt_secret"`
	DatabaseURL    string `json:"database_url"`
	S3URL          string `json:"s3_url,omitempty"`
	S3AccessKey    string `json:"s3_access_key,omitempty"`
	S3SecretKey    string `json:"s3_secret_key,omitempty"`
	S3Region       string `json:"s3_region,omitempty"`
}

// PrintKeys prints the project's keys and addresses. In the embedded default it
// makes the secrets where there are none yet; the database's address is known
// once madbase has run.
func PrintKeys(_ context.Context, cfg *config.Config, o Options) error {
	if cfg.Server.DropIn && cfg.Claims.Secret == "" {
		return errors.New("there are no keys without JWT_SECRET")
	}
	if err := completeSecrets(cfg); err != nil {
		return err
	}
	keys, err := claims.NewKeys(cfg.Claims)
	if err != nil {
		return err
	}
	databaseURL := cfg.Server.DatabaseURL.Reveal()
	if cfg.Embedded() {
		if databaseURL, err = readConnection(cfg.Server.DataDir); err != nil {
			return err
		}
	}
	a := newAccess(cfg, keys, databaseURL)
	if o.JSON {
		encoder := json.NewEncoder(o.Out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(a)
	}
	a.print(o)
	fmt.Fprintf(o.Out, "JWT secret        %s\n", a.JWTSecret)
	return nil
}

func newAccess(cfg *config.Config, keys *claims.Keys, databaseURL string) access {
	api := keys.API()
	a := access{
		APIURL: publicURL(cfg), AnonKey: api.Anon.Reveal(), ServiceRoleKey: api.Service.Reveal(),
		PublishableKey: api.Publishable.Reveal(), SecretKey: api.Secret.Reveal(),
		JWTSecret: cfg.Claims.Secret.Reveal(), DatabaseURL: databaseURL,
	}
	if cfg.Storage.S3.Enabled {
		prefix := prefixes["storage"]
		if cfg.Server.DropIn {
			prefix = ""
		}
		pair := cfg.Storage.S3.Key.Pair(keys)
		a.S3URL, a.S3Region = a.APIURL+prefix+"/s3", cfg.Storage.S3.Region
		a.S3AccessKey, a.S3SecretKey = pair.AccessKey, pair.SecretKey.Reveal()
	}
	return a
}

func (a access) print(o Options) {
	if a.DatabaseURL == "" {
		a.DatabaseURL = "(known once madbase has run)"
	}
	fmt.Fprintf(o.Out, `API URL           %s
anon key          %s
service_role key  %s
publishable key   %s
secret key        %s
database URL      %s
`, a.APIURL, a.AnonKey, a.ServiceRoleKey, a.PublishableKey, a.SecretKey, a.DatabaseURL)
	if a.S3URL != "" {
		fmt.Fprintf(o.Out, `S3 endpoint       %s
S3 region         %s
S3 access key     %s
S3 secret key     %s
`, a.S3URL, a.S3Region, a.S3AccessKey, a.S3SecretKey)
	}
}

// publicURL is the address that clients use: the setting, or this host's loopback name.
func publicURL(cfg *config.Config) string {
	if cfg.Server.PublicURL != "" {
		return cfg.Server.PublicURL
	}
	_, port, err := net.SplitHostPort(cfg.Server.Listen)
	if err != nil || port == "0" {
		port = "8000"
	}
	return cfg.Edge.URL(port)
}

// secretsFile holds, in the data folder, what the embedded default has made.
const secretsFile = "secrets.json"

// completeSecrets fills in the secrets that the embedded default makes for
// itself, once. Elsewhere there are no default secrets: a drop-in without one
// serves the anonymous alone, as a secret that nobody knows verifies no token.
func completeSecrets(cfg *config.Config) error {
	if cfg.Server.DropIn && cfg.Claims.Secret == "" {
		cfg.Claims.Secret = secret.Random()
	}
	if !cfg.Embedded() {
		return nil
	}
	made, err := secret.LoadOrCreate(filepath.Join(cfg.Server.DataDir, secretsFile), "jwt_secret", "admin_password", "master_key")
	if err != nil {
		return err
	}
	if cfg.Claims.Secret == "" {
		cfg.Claims.Secret = made["jwt_secret"]
	}
	if cfg.Control.AdminPassword == "" {
		cfg.Control.AdminPassword = made["admin_password"]
	}
	if cfg.Registry.MasterKey == "" {
		key, err := hex.DecodeString(made["master_key"].Reveal())
		if err != nil {
			return fmt.Errorf("secrets.json: master_key: %w", err)
		}
		cfg.Registry.MasterKey = secret.String(base64.StdEncoding.EncodeToString(key))
	}
	return nil
}

// connection is what the embedded default leaves for the command "keys".
type connection struct {
	DatabaseURL string `json:"database_url"`
}

const connectionFile = "connection.json"

func writeConnection(dataDir, databaseURL string) error {
	return secret.WriteFile(filepath.Join(dataDir, connectionFile), connection{databaseURL})
}

func readConnection(dataDir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dataDir, connectionFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	var c connection
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		return "", fmt.Errorf("read the database's address: %w", err)
	}
	return c.DatabaseURL, nil
}

// Target is the madbase that the commands which manage one are for. Beside an embedded
// default that has run here, its password is known.
func Target(cfg *config.Config) (cli.Target, error) {
	t := cli.Target{URL: cmp.Or(cfg.CLI.URL, publicURL(cfg)), Password: cfg.Control.AdminPassword}
	if _, err := os.Stat(filepath.Join(cfg.Server.DataDir, secretsFile)); t.Password != "" || cfg.CLI.URL != "" || !cfg.Embedded() || err != nil {
		return t, nil
	}
	if err := completeSecrets(cfg); err != nil {
		return t, err
	}
	t.Password, t.Here = cfg.Control.AdminPassword, true
	return t, nil
}
