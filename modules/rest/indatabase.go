package rest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/madbase/madbase/platform/secret"
)

// overridden is c with the settings that a database has, by their names without
// the prefix pgrst. Names that PostgREST does not read there are none.
func (c Config) overridden(by map[string]string) (Config, error) {
	if c.JWT.RoleClaimKey == "" {
		c.JWT.RoleClaimKey = "$.role"
	}
	fields := map[string]any{
		"client_error_verbosity": &c.ErrorVerbosity, "db_aggregates_enabled": &c.Aggregates, "db_anon_role": &c.AnonRole,
		"db_extra_search_path": &c.ExtraSearchPath, "db_max_rows": &c.MaxRows, "db_plan_enabled": &c.Explain,
		"db_pre_request": &c.PreRequest, "db_prepared_statements": &c.Prepared, "db_root_spec": &c.RootSpec,
		"db_schemas": &c.Schemas, "db_tx_end": &c.TxEnd, "db_hoisted_tx_settings": &c.Hoisted,
		"jwt_aud": &c.JWT.Audience, "jwt_role_claim_key": &c.JWT.RoleClaimKey, "jwt_secret": &c.JWT.Secret, "jwt_secret_is_base64": &c.JWT.IsBase64,
		"openapi_mode": &c.OpenAPIMode, "openapi_security_active": &c.OpenAPISecurity, "openapi_server_proxy_uri": &c.OpenAPIProxy,
		"server_cors_allowed_origins": &c.CORSOrigins, "server_trace_header": &c.TraceHeader, "server_timing_enabled": &c.ServerTiming,
		"url_use_legacy_target_names": &c.LegacyTargetNames,
	}
	for _, name := range slices.Sorted(maps.Keys(by)) {
		if err := assign(fields[name], by[name]); err != nil {
			return c, fmt.Errorf("rest: pgrst.%s: %w", name, err)
		}
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("rest: settings of the database: %w", err)
	}
	return c, nil
}

// assign reads value as what field points to; nothing is assigned to no field.
func assign(field any, value string) (err error) {
	switch field := field.(type) {
	case *string:
		*field = value
	case *secret.String:
		*field = secret.String(value)
	case *bool:
		*field, err = strconv.ParseBool(strings.ToLower(value))
	case *int64:
		if *field = 0; value != "" {
			*field, err = strconv.ParseInt(value, 10, 64)
		}
	case *[]string:
		*field = nil
		for item := range strings.SplitSeq(value, ",") {
			if item = strings.TrimSpace(item); item != "" {
				*field = append(*field, item)
			}
		}
	}
	return err
}
