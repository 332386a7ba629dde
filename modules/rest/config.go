package rest

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Config are the settings of the REST surface, under PostgREST's names where it has them.
type Config struct {
	Schemas           []string      `env:"PGRST_DB_SCHEMAS" default:"public" doc:"Schemas that the REST API shows; the first is the default." group:"optional"`
	ExtraSearchPath   []string      `env:"PGRST_DB_EXTRA_SEARCH_PATH" default:"public,extensions" doc:"Schemas added to the search path of every REST request." group:"optional"`
	AnonRole          string        `env:"PGRST_DB_ANON_ROLE" default:"anon" doc:"Database role of REST requests without a token; set to nothing they are refused." group:"optional"`
	AnyRole           bool          `env:"MADBASE_REST_ANY_ROLE" default:"false" doc:"Tokens may name any role that the login role may become, as with PostgREST; otherwise only anon, authenticated and service_role." group:"optional"`
	MaxRows           int64         `env:"PGRST_DB_MAX_ROWS" default:"0" doc:"Most rows that a REST read returns at each level; 0 is no bound." group:"optional"`
	PreRequest        string        `env:"PGRST_DB_PRE_REQUEST" doc:"Function without parameters that runs in the transaction of every REST request before its statement, as schema.name." group:"optional"`
	TxEnd             string        `env:"PGRST_DB_TX_END" default:"commit" doc:"How REST requests end: commit, rollback, or either with -allow-override to let Prefer: tx= decide." group:"optional"`
	Aggregates        bool          `env:"PGRST_DB_AGGREGATES_ENABLED" default:"false" doc:"Allow count(), sum(), avg(), max() and min() in REST selects." group:"optional"`
	Explain           bool          `env:"PGRST_DB_PLAN_ENABLED" default:"false" doc:"Let callers of the REST API see the plans of their requests, by the media type application/vnd.pgrst.plan." group:"optional"`
	PoolTimeout       int           `env:"PGRST_DB_POOL_ACQUISITION_TIMEOUT" default:"10" doc:"Seconds that a REST request queues for a database connection." group:"optional"`
	Prepared          bool          `env:"PGRST_DB_PREPARED_STATEMENTS" default:"true" doc:"Keep REST statements prepared on their connections; off behind poolers that change connections between transactions." group:"optional"`
	Channel           string        `env:"PGRST_DB_CHANNEL" default:"pgrst" doc:"Channel on which NOTIFY has the schema cache read again." group:"optional"`
	LegacyTargetNames bool          `env:"PGRST_URL_USE_LEGACY_TARGET_NAMES" default:"true" doc:"Let filters call an embed with an alias by its relation's name, with a warning." group:"optional"`
	MaxBody           int64         `env:"MADBASE_REST_MAX_BODY" default:"10485760" doc:"Largest body of a REST request in bytes." group:"optional"`
	StartTimeout      time.Duration `env:"MADBASE_REST_START_TIMEOUT" default:"30s" doc:"How long the start waits for the first reading of the schema; after that it goes on in the background." group:"optional"`
}

var txEnds = []string{"commit", "commit-allow-override", "rollback", "rollback-allow-override"}

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

// txAllowed reports whether requests may choose how their transaction ends.
func (c Config) txAllowed() bool {
	return c.TxEnd == "commit-allow-override" || c.TxEnd == "rollback-allow-override"
}

// rollsBack reports whether requests that do not choose are rolled back.
func (c Config) rollsBack() bool {
	return c.TxEnd == "rollback" || c.TxEnd == "rollback-allow-override"
}
