package auth

import (
	"errors"
	"fmt"
	"time"
)

// CompatConfig are settings of GoTrue's that tune what madbase does in its own
// way or not at all: they are taken and change nothing, or are refused where that
// would leave out what they ask for.
type CompatConfig struct {
	APIEndpoint       string        `env:"GOTRUE_API_ENDPOINT" doc:"Accepted for GoTrue's sake." group:"optional"`
	RequestIDHeader   string        `env:"GOTRUE_API_REQUEST_ID_HEADER" doc:"Accepted for GoTrue's sake: the header is X-Request-Id." group:"optional"`
	AdminGroupName    string        `env:"GOTRUE_JWT_ADMIN_GROUP_NAME" doc:"Accepted for GoTrue's sake: GOTRUE_JWT_ADMIN_ROLES counts." group:"optional"`
	ValidMethods      []string      `env:"GOTRUE_JWT_VALID_METHODS" doc:"Accepted for GoTrue's sake: each key has the algorithms that fit it." group:"optional"`
	OperatorToken     string        `env:"GOTRUE_OPERATOR_TOKEN" doc:"Accepted for GoTrue's sake, and not used." group:"optional"`
	MultiInstance     bool          `env:"GOTRUE_MULTI_INSTANCE_MODE" default:"false" doc:"Must be false." group:"optional"`
	IdlePool          int           `env:"GOTRUE_DB_MAX_IDLE_POOL_SIZE" doc:"Accepted for GoTrue's sake: MADBASE_DB_POOL_MAX_IDLETIME says how long idle connections stay." group:"optional"`
	ConnPercentage    int           `env:"GOTRUE_DB_CONN_PERCENTAGE" doc:"Accepted for GoTrue's sake: GOTRUE_DB_MAX_POOL_SIZE bounds the pool." group:"optional"`
	HealthCheckPeriod time.Duration `env:"GOTRUE_DB_HEALTH_CHECK_PERIOD" doc:"Accepted for GoTrue's sake." group:"optional"`
	MigrationsPath    string        `env:"GOTRUE_DB_MIGRATIONS_PATH" doc:"Accepted for GoTrue's sake: migrations are in the binary." group:"optional"`
	Automigrate       bool          `env:"GOTRUE_DB_AUTOMIGRATE" default:"false" doc:"Accepted for GoTrue's sake: who owns the database migrates it." group:"optional"`
	MFA               bool          `env:"GOTRUE_MFA_ENABLED" default:"true" doc:"Accepted for GoTrue's sake: each kind of factor has its own setting." group:"optional"`
	SearchIndexes     bool          `env:"GOTRUE_INDEX_WORKER_ENSURE_USER_SEARCH_INDEXES_EXIST" default:"false" doc:"Accepted for GoTrue's sake: no index is added by itself." group:"optional"`
	SearchIndexUsers  int64         `env:"GOTRUE_INDEX_WORKER_MAX_USERS_THRESHOLD" default:"0" doc:"Accepted for GoTrue's sake." group:"optional"`
	SCIM              bool          `env:"GOTRUE_EXPERIMENTAL_SCIM_ENABLED" default:"false" doc:"Must be false: SCIM is a bare skeleton in GoTrue, and not here." group:"optional"`

	Log       map[string]string `env:"GOTRUE_LOG_*" doc:"Accepted for GoTrue's sake: of these GOTRUE_LOG_LEVEL alone counts, as another name of LOG_LEVEL." group:"optional"`
	Metrics   map[string]string `env:"GOTRUE_METRICS_*" doc:"Accepted for GoTrue's sake: /metrics has them." group:"optional"`
	Tracing   map[string]string `env:"GOTRUE_TRACING_*" doc:"Accepted for GoTrue's sake: the OTEL_* settings count." group:"optional"`
	Profiler  map[string]string `env:"GOTRUE_PROFILER_*" doc:"Accepted for GoTrue's sake." group:"optional"`
	Reloading map[string]string `env:"GOTRUE_RELOADING_*" doc:"Accepted for GoTrue's sake: settings are read at the start." group:"optional"`
}

// Validate names what cannot be honoured.
func (c CompatConfig) Validate() error {
	var errs []error
	for name, set := range map[string]bool{"GOTRUE_MULTI_INSTANCE_MODE": c.MultiInstance, "GOTRUE_EXPERIMENTAL_SCIM_ENABLED": c.SCIM} {
		if set {
			errs = append(errs, fmt.Errorf("%s is set, and madbase has no such thing", name))
		}
	}
	return errors.Join(errs...)
}
