package rest

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/madbase/madbase/modules/rest/jsonpath"
	"github.com/madbase/madbase/modules/rest/openapi"
	"github.com/madbase/madbase/platform/secret"
)

// Config are the settings of the REST surface, under PostgREST's names where it has them.
type Config struct {
	Schemas         []string      `env:"PGRST_DB_SCHEMAS,PGRST_DB_SCHEMA" default:"public" doc:"Schemas that the REST API shows; the first is the default." group:"optional"`
	ExtraSearchPath []string      `env:"PGRST_DB_EXTRA_SEARCH_PATH" empty:"value" default:"public,extensions" doc:"Schemas added to the search path of every REST request; set to nothing there are none. In place of PostgREST: public." group:"optional"`
	AnonRole        string        `env:"PGRST_DB_ANON_ROLE" empty:"value" default:"anon" doc:"Database role of REST requests without a token; set to nothing, or not set in place of PostgREST, they are refused." group:"optional"`
	AnyRole         bool          `env:"MADBASE_REST_ANY_ROLE" default:"false" doc:"Tokens may name any role that the login role may become, as always in place of PostgREST; otherwise only anon, authenticated and service_role." group:"optional"`
	MaxRows         int64         `env:"PGRST_DB_MAX_ROWS,PGRST_MAX_ROWS" default:"0" doc:"Most rows that a REST read returns at each level; 0 is no bound." group:"optional"`
	PreRequest      string        `env:"PGRST_DB_PRE_REQUEST,PGRST_PRE_REQUEST" doc:"Function without parameters that runs in the transaction of every REST request before its statement, as schema.name." group:"optional"`
	RootSpec        string        `env:"PGRST_DB_ROOT_SPEC,PGRST_ROOT_SPEC" doc:"Function without parameters that answers requests for the REST API's root in place of its description." group:"optional"`
	TxEnd           string        `env:"PGRST_DB_TX_END" default:"commit" doc:"How REST requests end: commit, rollback, or either with -allow-override to let Prefer: tx= decide." group:"optional"`
	Hoisted         []string      `env:"PGRST_DB_HOISTED_TX_SETTINGS" default:"statement_timeout,plan_filter.statement_cost_limit,default_transaction_isolation" doc:"Settings of a called function that already hold for the whole transaction of the call." group:"optional"`
	Aggregates      bool          `env:"PGRST_DB_AGGREGATES_ENABLED" default:"false" doc:"Allow count(), sum(), avg(), max() and min() in REST selects." group:"optional"`
	Explain         bool          `env:"PGRST_DB_PLAN_ENABLED" default:"false" doc:"Let callers of the REST API see the plans of their requests, by the media type application/vnd.pgrst.plan." group:"optional"`
	PoolTimeout     int           `env:"PGRST_DB_POOL_ACQUISITION_TIMEOUT" default:"10" doc:"Seconds that a REST request queues for a database connection." group:"optional" scope:"process"`
	Prepared        bool          `env:"PGRST_DB_PREPARED_STATEMENTS" default:"true" doc:"Keep REST statements prepared on their connections; off behind poolers that change connections between transactions." group:"optional" scope:"process"`
	Channel         string        `env:"PGRST_DB_CHANNEL" default:"pgrst" doc:"Channel on which NOTIFY has the schema cache and the in-database settings read again." group:"optional"`
	Listen          bool          `env:"PGRST_DB_CHANNEL_ENABLED" default:"true" doc:"Listen on that channel." group:"optional"`
	InDatabase      bool          `env:"PGRST_DB_CONFIG" default:"true" doc:"Let settings of the REST API's login role override those of the process, as set by ALTER ROLE authenticator SET pgrst.db_max_rows." group:"optional"`
	PreConfig       string        `env:"PGRST_DB_PRE_CONFIG" doc:"Function that sets such settings when they are read, as schema.name; those of the role win." group:"optional"`
	MaxBody         int64         `env:"MADBASE_REST_MAX_BODY" default:"10485760" doc:"Largest body of a REST request in bytes." group:"optional" scope:"process"`
	StartTimeout    time.Duration `env:"MADBASE_REST_START_TIMEOUT" default:"30s" doc:"How long the start waits for the first reading of the schema; after that it goes on in the background." group:"optional" scope:"process"`

	OpenAPIMode     string `env:"PGRST_OPENAPI_MODE" default:"follow-privileges" doc:"What the REST API's root describes: what the caller may use (follow-privileges), everything (ignore-privileges), or nothing (disabled)." group:"optional"`
	OpenAPISecurity bool   `env:"PGRST_OPENAPI_SECURITY_ACTIVE" default:"false" doc:"Let the description say that tokens are taken in the header Authorization." group:"optional"`
	OpenAPIProxy    string `env:"PGRST_OPENAPI_SERVER_PROXY_URI" doc:"Address under which the description says that the REST API is reached, such as https://example.com/api." group:"optional"`

	ServerTiming      bool     `env:"PGRST_SERVER_TIMING_ENABLED" default:"false" doc:"Tell in the header Server-Timing how long the parts of a REST request took." group:"optional"`
	TraceHeader       string   `env:"PGRST_SERVER_TRACE_HEADER" doc:"Name of a request header that REST answers repeat." group:"optional"`
	CORSOrigins       []string `env:"PGRST_SERVER_CORS_ALLOWED_ORIGINS" doc:"Origins whose pages may call the REST API in place of PostgREST; empty: all. The gateway has its own." group:"optional" scope:"process"`
	ErrorVerbosity    string   `env:"PGRST_CLIENT_ERROR_VERBOSITY" default:"verbose" doc:"Whether REST errors have details and hints (verbose) or not (minimal)." group:"optional"`
	LegacyTargetNames bool     `env:"PGRST_URL_USE_LEGACY_TARGET_NAMES" default:"true" doc:"Let filters call an embed with an alias by its relation's name, with a warning." group:"optional"`

	AppSettings map[string]string `env:"PGRST_APP_SETTINGS_*" doc:"Variables that SQL reads as app.settings.NAME, with NAME in lower case. Those of the process are the default project's alone." group:"optional" secret:"values"`

	JWT JWTConfig
}

// JWTConfig says which tokens the surface takes in place of PostgREST. Elsewhere the
// project's keys decide, and only Audience and RoleClaimKey have a meaning.
type JWTConfig struct {
	Secret       secret.String `env:"PGRST_JWT_SECRET" doc:"Secret of at least 32 characters, JSON Web Key, set of them, or @ and a file of one of these, which verifies tokens in place of PostgREST; without it tokens are refused. Elsewhere another name of JWT_SECRET." group:"optional" scope:"process"`
	IsBase64     bool          `env:"PGRST_JWT_SECRET_IS_BASE64,PGRST_SECRET_IS_BASE64" default:"false" doc:"The secret is in base64." group:"optional" scope:"process"`
	Audience     string        `env:"PGRST_JWT_AUD" doc:"Audience that tokens with the claim aud must name in REST requests." group:"optional"`
	RoleClaimKey string        `env:"PGRST_JWT_ROLE_CLAIM_KEY,PGRST_ROLE_CLAIM_KEY" default:"$.role" doc:"JSON Path (RFC 9535) of the database role in a token's claims." group:"optional"`
	CacheEntries int           `env:"PGRST_JWT_CACHE_MAX_ENTRIES" default:"1000" doc:"Verified tokens that are remembered in place of PostgREST; 0 for none." group:"optional" scope:"process"`
}

var (
	txEnds       = []string{"commit", "commit-allow-override", "rollback", "rollback-allow-override"}
	openAPIModes = []string{openAPIFollows, openAPIIgnores, openAPIDisabled}
	verbosities  = []string{"verbose", verbosityMinimal}
)

// The modes of OpenAPIMode, and the brief ErrorVerbosity.
const (
	openAPIFollows   = "follow-privileges"
	openAPIIgnores   = "ignore-privileges"
	openAPIDisabled  = "disabled"
	verbosityMinimal = "minimal"
)

// Validate names every fault of the settings.
func (c Config) Validate() error {
	var errs []error
	if len(c.Schemas) == 0 {
		errs = append(errs, errors.New("PGRST_DB_SCHEMAS must name at least one schema"))
	}
	for _, s := range c.Schemas {
		if s == "pg_catalog" || s == "information_schema" {
			errs = append(errs, fmt.Errorf("PGRST_DB_SCHEMAS must not contain %s", s))
		}
	}
	if !slices.Contains(txEnds, c.TxEnd) {
		errs = append(errs, fmt.Errorf("PGRST_DB_TX_END must be one of %v", txEnds))
	}
	if !slices.Contains(openAPIModes, c.OpenAPIMode) {
		errs = append(errs, fmt.Errorf("PGRST_OPENAPI_MODE must be one of %v", openAPIModes))
	}
	if !slices.Contains(verbosities, c.ErrorVerbosity) {
		errs = append(errs, fmt.Errorf("PGRST_CLIENT_ERROR_VERBOSITY must be one of %v", verbosities))
	}
	if _, err := openapi.ParseServer(c.OpenAPIProxy); err != nil {
		errs = append(errs, errors.New("PGRST_OPENAPI_SERVER_PROXY_URI must be like https://example.com:8443/path"))
	}
	errs = append(errs, c.JWT.validate())
	if c.MaxRows < 0 {
		errs = append(errs, errors.New("PGRST_DB_MAX_ROWS must not be negative"))
	}
	if c.PoolTimeout <= 0 {
		errs = append(errs, errors.New("PGRST_DB_POOL_ACQUISITION_TIMEOUT must be positive"))
	}
	if c.MaxBody <= 0 {
		errs = append(errs, errors.New("MADBASE_REST_MAX_BODY must be positive"))
	}
	if c.Channel == "" {
		errs = append(errs, errors.New("PGRST_DB_CHANNEL must not be empty"))
	}
	return errors.Join(errs...)
}

func (c JWTConfig) validate() error {
	var errs []error
	if _, err := jsonpath.Parse(c.RoleClaimKey); c.RoleClaimKey != "" && err != nil {
		errs = append(errs, fmt.Errorf("PGRST_JWT_ROLE_CLAIM_KEY: %w", err))
	}
	if u, err := url.Parse(c.Audience); strings.Contains(c.Audience, ":") && (err != nil || u.Scheme == "") {
		errs = append(errs, errors.New("PGRST_JWT_AUD must be a word or a URI"))
	}
	if c.CacheEntries < 0 {
		errs = append(errs, errors.New("PGRST_JWT_CACHE_MAX_ENTRIES must not be negative"))
	}
	return errors.Join(errs...)
}

// txAllowed reports whether requests may choose how their transaction ends.
func (c Config) txAllowed() bool {
	return c.TxEnd == "commit-allow-override" || c.TxEnd == "rollback-allow-override"
}

// rollsBack reports whether requests that do not choose are rolled back.
func (c Config) rollsBack() bool {
	return c.TxEnd == "rollback" || c.TxEnd == "rollback-allow-override"
}
