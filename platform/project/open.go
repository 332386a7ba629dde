package project

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/secret"
)

// The roles that madbase's pools log in as.
const (
	RoleAPI     = "authenticator"
	RoleAuth    = "supabase_auth_admin"
	RoleStorage = "supabase_storage_admin"
)

// Login is a role of the server with its password.
type Login struct {
	Role     string
	Password secret.String
}

// Logins are what the pools of one project log in as.
type Logins struct {
	API, Auth, Storage Login
	// ref tells the roles of a project beside the default one apart.
	ref string
}

// DefaultLogins are those of the default project. Their passwords derive from
// JWT_SECRET: every process knows them, and they are stored nowhere. Roles belong to
// the whole server: two madbases on one server need one JWT_SECRET.
func DefaultLogins(jwtSecret secret.String) Logins {
	login := func(role string) Login { return Login{role, jwtSecret.Derive("database-login/"+role, 24)} }
	return Logins{API: login(RoleAPI), Auth: login(RoleAuth), Storage: login(RoleStorage)}
}

// LoginsOf are those of the project ref, whose passwords derive from a secret that
// is used for nothing else. They may do in their own database what the default
// project's may in its, and connect to no other.
func LoginsOf(ref string, loginSecret secret.String) Logins {
	login := func(role string) Login {
		return Login{role + "_" + ref, loginSecret.Derive("database-login/"+role, 24)}
	}
	return Logins{API: login(RoleAPI), Auth: login(RoleAuth), Storage: login(RoleStorage), ref: ref}
}

// all are the logins with the standing roles that they are as good as.
func (l Logins) all() []struct {
	Login
	as string
} {
	return []struct {
		Login
		as string
	}{{l.API, RoleAPI}, {l.Auth, RoleAuth}, {l.Storage, RoleStorage}}
}

// Provision makes the login roles of a project, where they are missing, and gives
// them their passwords, unless they have them. Run it under the migrations' lock.
func Provision(ctx context.Context, conn *pgx.Conn, logins Logins) error {
	for _, login := range logins.all() {
		if canLogIn(ctx, conn, login.Login) {
			continue
		}
		if logins.ref != "" {
			if err := db.Retry(ctx, func() error { return admit(ctx, conn, login.Role, login.as) }); err != nil {
				return fmt.Errorf("project: role %s: %w", login.Role, err)
			}
		}
		if err := db.Retry(ctx, func() error { return setPassword(ctx, conn, login.Login) }); err != nil {
			return fmt.Errorf("project: password of %s: %w", login.Role, err)
		}
	}
	return nil
}

func canLogIn(ctx context.Context, owner *pgx.Conn, login Login) bool {
	cfg := owner.Config()
	cfg.User, cfg.Password = login.Role, login.Password.Reveal()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return false
	}
	_ = conn.Close(ctx) // what it was for is known
	return true
}

// setPassword sends a SCRAM verifier, so that no password reaches the server's log.
func setPassword(ctx context.Context, conn *pgx.Conn, login Login) error {
	verifier, err := scramVerifier(login.Password.Reveal())
	if err != nil {
		return err
	}
	// ALTER ROLE takes no parameters; a verifier holds base64, '$' and ':' only.
	_, err = conn.Exec(ctx, "ALTER ROLE "+pgx.Identifier{login.Role}.Sanitize()+" PASSWORD '"+verifier+"'")
	return err
}

// scramVerifier is the form in which PostgreSQL stores a SCRAM-SHA-256 password
// (RFC 5803; pg_authid.rolpassword).
func scramVerifier(password string) (string, error) {
	const iterations = 4096
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	mac := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(stored[:]), b64(mac("Server Key"))), nil
}

// PoolSizes bounds the connections of each pool, in number and in age; 0 leaves the default.
type PoolSizes struct {
	API     int `env:"MADBASE_DB_POOL,PGRST_DB_POOL" default:"20" doc:"Connections of one process for API requests." group:"optional"`
	Auth    int `env:"MADBASE_DB_AUTH_POOL,GOTRUE_DB_MAX_POOL_SIZE" default:"10" doc:"Connections of one process for auth." group:"optional"`
	Storage int `env:"MADBASE_DB_STORAGE_POOL" default:"10" doc:"Connections of one process for storage's own bookkeeping." group:"optional"`

	Lifetime time.Duration `env:"MADBASE_DB_POOL_MAX_LIFETIME,PGRST_DB_POOL_MAX_LIFETIME,GOTRUE_DB_CONN_MAX_LIFETIME" default:"30m" doc:"Age at which a pool's connection is replaced." group:"optional"`
	Idle     time.Duration `env:"MADBASE_DB_POOL_MAX_IDLETIME,PGRST_DB_POOL_MAX_IDLETIME,PGRST_DB_POOL_TIMEOUT,GOTRUE_DB_CONN_MAX_IDLE_TIME" default:"5m" doc:"How long a pool keeps a connection that nobody uses." group:"optional"`
}

// PoolOptions are what a project's pools have in common.
type PoolOptions struct {
	Sizes PoolSizes
	// Tracer sees every statement when set.
	Tracer pgx.QueryTracer
	// Budget bounds the pools of several projects together when set.
	Budget *db.Budget
}

// config is the pool of one name and size.
func (o PoolOptions) config(name, url string, size int) db.PoolConfig {
	return db.PoolConfig{URL: url, Name: name, MaxConns: size, MaxLifetime: o.Sizes.Lifetime, MaxIdle: o.Sizes.Idle, Tracer: o.Tracer, Budget: o.Budget}
}

// OpenDatabases opens the pools of a provisioned database, each under its own
// login role. ownerURL says where the database is; its role and password are not used.
func OpenDatabases(ctx context.Context, ownerURL string, logins Logins, options PoolOptions) (Databases, error) {
	var d Databases
	for _, pool := range []struct {
		login Login
		name  string
		size  int
		into  **db.Pool
	}{
		{logins.API, "api", options.Sizes.API, &d.API},
		{logins.Auth, "auth", options.Sizes.Auth, &d.Auth},
		{logins.Storage, "storage", options.Sizes.Storage, &d.Storage},
	} {
		url, err := db.WithLogin(ownerURL, pool.login.Role, pool.login.Password.Reveal())
		if err == nil {
			*pool.into, err = db.Open(ctx, options.config(pool.name, url, pool.size))
		}
		if err != nil {
			d.Close()
			return Databases{}, fmt.Errorf("project: pool %s: %w", pool.name, err)
		}
	}
	return d, nil
}

// OpenForeign opens one pool, of the API's size, with url's own login for all uses: a database that
// madbase does not manage, as for a drop-in PostgREST or GoTrue.
func OpenForeign(ctx context.Context, url string, options PoolOptions) (Databases, error) {
	pool, err := db.Open(ctx, options.config("api", url, options.Sizes.API))
	if err != nil {
		return Databases{}, fmt.Errorf("project: %w", err)
	}
	return Databases{API: pool, Auth: pool, Storage: pool}, nil
}
